import LogAnalysis
import LogFormat

/// Where the time of a critical path went, in one line for each run.
enum PathHeadline {
  static func text(_ paths: [(run: Int64, phases: [PathPhase])], _ terminal: Terminal) -> String {
    var block = TextBlock(terminal)
    for (run, phases) in paths where !phases.isEmpty { block.prose(line(run, phases)) }
    return block.text
  }

  static func line(_ run: Int64, _ phases: [PathPhase]) -> String {
    var kinds: [(name: String, nanoseconds: Int64)] = []
    for phase in phases {
      guard let start = phase.start, let stop = phase.stop else { continue }
      let name = phase.kind.rawValue
      if let place = kinds.firstIndex(where: { $0.name == name }) {
        kinds[place].nanoseconds += stop - start
      } else {
        kinds.append((name, stop - start))
      }
    }
    let total = kinds.reduce(Int64(0)) { $0 + $1.nanoseconds }
    let parts = kinds.sorted { $0.nanoseconds > $1.nanoseconds }.filter { $0.nanoseconds > 0 }.map {
      "\(Units.percent(Double($0.nanoseconds) / Double(total))) \($0.name)"
    }
    return
      "Run #\(run): \(Units.duration(nanoseconds: total)) from the first task to the last result, "
      + "in \(Units.count(Int64(phases.count), "step"))"
      + (parts.isEmpty ? "." : ": \(parts.joined(separator: ", ")).")
  }
}
