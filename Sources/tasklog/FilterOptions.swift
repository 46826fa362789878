import ArgumentParser
import EventLog
import Querying
import TaskLogPlugin

private let states = CompletionKind.list(State.known.map(\.name))

/// The options that select events.
struct FilterOptions: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A key, or a pattern with * and ?; json:1 is only the number, json:\"1\" only the text.",
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
    help: ArgumentHelp("The start or finish state.", valueName: "state"), completion: states)
  var state: [String] = []

  @Option(help: ArgumentHelp("The start state.", valueName: "state"), completion: states)
  var start: [String] = []

  @Option(help: ArgumentHelp("The finish state.", valueName: "state"), completion: states)
  var finish: [String] = []

  @Option(
    help: ArgumentHelp(
      "A worker's name, address or address pattern: events it observed and events about it.",
      valueName: "worker"))
  var worker: [String] = []

  @Option(
    help: ArgumentHelp("The observer of the event: scheduler or worker.", valueName: "kind"),
    completion: .list(["scheduler", "worker"]))
  var source: [Source.Kind] = []

  @Option(
    help: ArgumentHelp(
      "A hook or mark such as transition or addWorker (or add_worker), or '*' for all.",
      valueName: "hook"), completion: .list(Hook.known.map(\.name)))
  var hook: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A stimulus ID, or a pattern.", valueName: "glob"))
  var stimulus: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A client named in the args, or a pattern.", valueName: "glob"))
  var client: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Tasks of this named job, or a pattern; see 'jobs'.", valueName: "glob"))
  var job: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Tasks in this span of Dask: a name, an ID or a pattern.", valueName: "glob"))
  var span: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A comparison of an argument, with =, !=, <, <=, >, >= or ~ (a regular expression).",
      valueName: "name=value"))
  var arg: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A regular expression that matches in the args.", valueName: "regex"))
  var grep: [String] = []

  @OptionGroup var times: TimeOptions

  /// The names of the options in use.
  var given: [String] {
    [
      ("--key", !key.isEmpty), ("--prefix", !prefix.isEmpty), ("--group", !group.isEmpty),
      ("--state", !state.isEmpty), ("--start", !start.isEmpty), ("--finish", !finish.isEmpty),
      ("--worker", !worker.isEmpty), ("--source", !source.isEmpty), ("--hook", !hook.isEmpty),
      ("--stimulus", !stimulus.isEmpty), ("--client", !client.isEmpty),
      ("--job", !job.isEmpty), ("--span", !span.isEmpty), ("--arg", !arg.isEmpty),
      ("--grep", !grep.isEmpty), ("--since", times.since != nil), ("--until", times.until != nil),
    ].filter(\.1).map(\.0)
  }

  func filter(now: Int64) throws -> EventFilter {
    var filter = EventFilter()
    // Clients are named by graph submissions, not by transitions.
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
    filter.jobs = job
    filter.spans = span
    filter.args = try arg.map(FilterParsing.arg)
    filter.patterns = try grep.map { try FilterParsing.pattern($0, option: "--grep") }
    try times.add(to: &filter, now: now)
    return filter
  }
}

extension Source.Kind: ExpressibleByArgument {}
