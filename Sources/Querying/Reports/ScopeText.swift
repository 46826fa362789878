import EventLog
import LogAnalysis
import LogFormat

extension RunScope.Share {
  /// How much of the run is shown, in one line.
  package var text: String {
    let share = allTasks > 0 ? " (\(Units.percent(Double(tasks) / Double(allTasks))))" : ""
    var parts = ["\(Units.count(tasks)) of \(Units.count(allTasks, "task"))\(share)"]
    if let workers { parts.append("\(workers) of \(Units.count(Int64(allWorkers), "worker"))") }
    if let time { parts.append("\(Units.percent(time)) of the run's time") }
    return "shows " + parts.joined(separator: ", ")
  }
}

extension RunScope.EmptyReason {
  /// Why nothing is shown of a run, in one line.
  package func text(_ filter: ScopeFilter, run: RunInfo) -> String {
    let name = "run #\(run.number)"
    switch self {
    case .noWorker: return "no worker of \(name) is \(Self.list(filter.workers))"
    case .noPrefix: return "\(name) has no key with the prefix \(Self.list(filter.prefixes))"
    case .noClient(let known):
      return "no client of \(name) with tasks is \(Self.list(filter.clients)); "
        + Self.choice("client", known)
    case .noJob(let known):
      return "no job of \(name) is \(Self.list(filter.jobs)); " + Self.choice("job", known)
    case .noSpan(let known):
      return "no span of \(name) is \(Self.list(filter.spans)); " + Self.choice("span", known)
    case .noTime(let start, let stop):
      return "\(name) has no event in this time; it lasted from \(Timestamp.iso(start)) to "
        + Timestamp.iso(stop)
    case .noTask: return "no task of \(name) matches all of these filters"
    }
  }

  private static func list(_ names: [String]) -> String {
    names.map { "'\(Printable.text($0))'" }.joined(separator: " or ")
  }

  private static let mostNames = 5

  private static func choice(_ noun: String, _ names: [String]) -> String {
    let shown = names.prefix(mostNames).map { Printable.text($0) }.joined(separator: ", ")
    if names.count > mostNames { return "it has \(names.count) \(noun)s, the first are \(shown)" }
    return names.count == 1 ? "the only \(noun) is \(shown)" : "\(noun)s are \(shown)"
  }
}
