import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying

struct AnonymizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "anonymize", abstract: "Write a copy of runs that can be given to others.",
    usage:
      "tasklog anonymize [<run>] -o <file> [--keep <names>] [--log <path>] ... [--run <run>]",
    discussion: """
      Keys, exceptions, hosts, paths, users, clients, spans, jobs, labels, and the names of locks, \
      resources and annotations are replaced by pseudonyms. They are the same within the copy, and \
      follow from a random secret that is not kept. Tracebacks, messages, profiles, pickles, code \
      and command lines are removed.

      Which keys share a prefix or a group, the order of keys and events, times, sizes, states and \
      versions stay: the copy can be queried, checked, compared and replayed as the original.

      Examples:
        tasklog anonymize -o bug.db
        tasklog anonymize "#1" -o named.db --keep keys,exceptions
      """)

  @Argument(
    help: ArgumentHelp(
      "The run to copy, as with --run: latest, all, a number as in 'runs', or a run ID prefix.",
      valueName: "run"))
  var named: String?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The log to write, which must not exist.", valueName: "file"),
    completion: .file())
  var output: String

  @Option(
    help: ArgumentHelp(
      "Names that stay, separated by commas: keys, exceptions.", valueName: "names"))
  var keep: String?

  @OptionGroup var logs: LogsOptions
  @OptionGroup var selection: RunOption

  mutating func validate() throws {
    if named != nil, selection.run != nil || selection.runs != nil {
      throw ValidationError("name the run once: as an argument, with --run or with --runs")
    }
  }

  func run() throws {
    guard !LogTemplate.isTemplate(output) else {
      throw Failure.usage("-o \(output): the copy is one file; omit {run} from its name")
    }
    let kept = try keptNames()
    let logSet = try logs.resolve(
      run: named ?? selection.selector, choosing: selection.choice(), .groups)
    defer { logSet.remove() }
    let parts = try logSet.parts.flatMap { log -> [LogAnonymization.Part] in
      let reader = try log.reader()
      return try log.runs(reader).map { ($0, reader) }
    }
    let events = try parts.reduce(Int64(0)) { try $0 + $1.reader.eventCount(of: $1.run) }
    // Each event is read twice.
    var bar = ProgressBar(total: 2 * events, noun: "events")
    let result: LogAnonymization.Result
    do {
      defer { bar.finish() }
      result = try LogAnonymization.copy(parts, to: output, keeping: kept) { bar.show($0) }
    }
    report(result, kept)
    for (run, reader) in parts { try RunWarnings.reportParts(run, reader) }
    for (run, _) in parts where run.end == .running {
      Console.warn("run #\(run.number) is still running; the copy has its events so far")
    }
  }

  private func keptNames() throws -> Set<KeptName> {
    guard let keep else { return [] }
    return try Set(
      keep.split(separator: ",", omittingEmptySubsequences: false).map { text in
        let name = String(text)
        guard let kept = KeptName(rawValue: name) else {
          let known = KeptName.allCases.map(\.rawValue).joined(separator: ", ")
          throw Failure.usage(
            "--keep \(name.isEmpty ? "''" : name): unknown kind of names; kinds are \(known)")
        }
        return kept
      })
  }

  private func report(_ result: LogAnonymization.Result, _ kept: Set<KeptName>) {
    Console.print(
      "\(Printable.text(output)): \(Printable.count(result.runs, "run")), "
        + "\(Printable.count(result.events, "event"))")
    var replaced: [(Int, String)] = []
    var stays: [String] = []
    for (name, count, noun) in [
      (KeptName.keys, result.keys, "key"), (.exceptions, result.exceptions, "exception"),
    ] {
      if kept.contains(name) { stays.append(name.rawValue) } else { replaced.append((count, noun)) }
    }
    let removed = result.removed
    Console.print("replaced: " + Self.list(replaced + [(result.names, "other name")]))
    Console.print(
      "removed: "
        + Self.list([
          (removed.tracebacks, "traceback"), (removed.messages, "message"),
          (removed.pickles, "pickle"), (removed.profiles, "profile"),
          (removed.code, "code text"), (removed.commandLines, "command line"),
        ]))
    Console.print(
      "kept: "
        + (stays + ["order, times, sizes, numbers, states, versions"]).joined(separator: ", "))
  }

  private static func list(_ counts: [(Int, String)]) -> String {
    let some = counts.filter { $0.0 > 0 }
    return some.isEmpty
      ? "nothing" : some.map { Printable.count($0.0, $0.1) }.joined(separator: ", ")
  }
}
