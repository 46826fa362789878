import ArgumentParser
import EventLog
import Filters
import Querying
import TaskLogPlugin

private let states = CompletionKind.list(State.known.map(\.name))

/// Which events.
struct FilterOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A key, or a pattern with * and ?; json:1 is the number only, json:\"1\" the text only.",
      valueName: "glob"))
  var key: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A prefix of keys, or a pattern.", valueName: "glob"))
  var prefix: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A group of keys, or a pattern.", valueName: "glob"))
  var group: [String] = []

  @Option(
    help: ArgumentHelp("The state before or after.", valueName: "state"), completion: states)
  var state: [String] = []

  @Option(help: ArgumentHelp("The state before.", valueName: "state"), completion: states)
  var start: [String] = []

  @Option(help: ArgumentHelp("The state after.", valueName: "state"), completion: states)
  var finish: [String] = []

  @Option(
    help: ArgumentHelp(
      "A worker's name, its address or a pattern of that: what it saw and what is about it.",
      valueName: "worker"))
  var worker: [String] = []

  @Option(
    help: ArgumentHelp("Who saw it: scheduler or worker.", valueName: "kind"),
    completion: .list(["scheduler", "worker"]))
  var source: [Source.Kind] = []

  @Option(
    help: ArgumentHelp(
      "A hook or mark such as transition or addWorker (add_worker means it, too), or '*'.",
      valueName: "hook"), completion: .list(Hook.known.map(\.name)))
  var hook: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("What set it off, or a pattern.", valueName: "glob"))
  var stimulus: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("The client that the args name, or a pattern.", valueName: "glob"))
  var client: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "An argument compared by =, !=, <, <=, >, >= or ~ (a regular expression).",
      valueName: "name=value"))
  var arg: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A regular expression that is in the args.", valueName: "regex"))
  var grep: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Not before: 2026-01-31T12:00 (UTC), 2026-01-31, -10m (s, m, h, d), or seq:100.",
      valueName: "time"))
  var since: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Not after; written in the same way.", valueName: "time"))
  var until: String?

  /// The options that were given.
  var given: [String] {
    [
      ("--key", !key.isEmpty), ("--prefix", !prefix.isEmpty), ("--group", !group.isEmpty),
      ("--state", !state.isEmpty), ("--start", !start.isEmpty), ("--finish", !finish.isEmpty),
      ("--worker", !worker.isEmpty), ("--source", !source.isEmpty), ("--hook", !hook.isEmpty),
      ("--stimulus", !stimulus.isEmpty), ("--client", !client.isEmpty), ("--arg", !arg.isEmpty),
      ("--grep", !grep.isEmpty), ("--since", since != nil), ("--until", until != nil),
    ].filter(\.1).map(\.0)
  }

  func filter(now: Int64) throws -> EventFilter {
    var filter = EventFilter()
    // A client is named where a graph is submitted, not where a task changes its state.
    filter.hooks = hook.isEmpty && client.isEmpty ? ["transition"] : hook.map(FilterParsing.hook)
    if hook.contains("*") { filter.hooks = [] }
    filter.keys = key
    filter.prefixes = prefix
    filter.groups = group
    filter.states = try state.flatMap { try FilterParsing.states($0, option: "--state") }
    filter.starts = try start.flatMap { try FilterParsing.states($0, option: "--start") }
    filter.finishes = try finish.flatMap { try FilterParsing.states($0, option: "--finish") }
    filter.workers = worker
    filter.sources = source
    filter.stimuli = stimulus
    filter.clients = client
    filter.args = try arg.map(FilterParsing.arg)
    filter.patterns = try grep.map { try FilterParsing.pattern($0, option: "--grep") }
    if let since {
      switch try FilterParsing.bound(since, option: "--since", now: now) {
      case .time(let time): filter.since = time
      case .seq(let seq): filter.sinceSeq = seq
      }
    }
    if let until {
      switch try FilterParsing.bound(until, option: "--until", now: now, isEnd: true) {
      case .time(let time): filter.until = time
      case .seq(let seq): filter.untilSeq = seq
      }
    }
    return filter
  }
}

extension Source.Kind: ExpressibleByArgument {}
