import EventLog
import LogAnalysis

extension RunScope.Share {
  /// How much of the run is shown, in one line.
  package var text: String {
    var parts = [
      "\(Self.grouped(tasks)) of \(Self.tasks(allTasks))\(Self.percent(tasks, allTasks))"
    ]
    if let workers { parts.append("\(workers) of \(Printable.count(allWorkers, "worker"))") }
    if let time { parts.append("\(Self.percent(time)) of the run's time") }
    return "shows " + parts.joined(separator: ", ")
  }

  private static func tasks(_ count: Int64) -> String {
    "\(grouped(count)) \(count == 1 ? "task" : "tasks")"
  }

  private static func percent(_ part: Int64, _ whole: Int64) -> String {
    whole > 0 ? " (\(percent(Double(part) / Double(whole))))" : ""
  }

  /// One decimal; neither a small part is shown as none, nor nearly all as all.
  private static func percent(_ part: Double) -> String {
    let tenths = (part * 1000).rounded()
    if part > 0, tenths == 0 { return "< 0.1 %" }
    if part < 1, tenths == 1000 { return "> 99.9 %" }
    let percent = tenths / 10
    return (percent == percent.rounded() ? "\(Int(percent))" : "\(percent)") + " %"
  }

  /// Digits in groups of three.
  private static func grouped(_ number: Int64) -> String {
    let digits = Array(String(number))
    return digits.indices.reduce(into: "") { text, index in
      if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
      text.append(digits[index])
    }
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
