import LogAnalysis
import LogFormat

/// Where the time of a critical path went, in one line for each run.
enum PathHeadline {
  static func text(_ paths: [(run: Int64, pieces: [PathSegment])], _ terminal: Terminal) -> String {
    var block = TextBlock(terminal)
    for (run, pieces) in paths where !pieces.isEmpty { block.prose(line(run, pieces)) }
    return block.text
  }

  static func line(_ run: Int64, _ pieces: [PathSegment]) -> String {
    var kinds: [(name: String, nanoseconds: Int64)] = []
    for piece in pieces {
      guard let start = piece.start, let stop = piece.stop else { continue }
      let name = piece.kind.rawValue
      if let place = kinds.firstIndex(where: { $0.name == name }) {
        kinds[place].nanoseconds += stop &- start
      } else {
        kinds.append((name, stop &- start))
      }
    }
    let total = kinds.reduce(Int64(0)) { $0 + $1.nanoseconds }
    let parts = kinds.sorted { $0.nanoseconds > $1.nanoseconds }.filter { $0.nanoseconds > 0 }.map {
      "\(Units.percent(Double($0.nanoseconds) / Double(total))) \($0.name)"
    }
    return
      "Run #\(run): \(Units.duration(nanoseconds: total)) from the first task to the last result, "
      + "in \(Units.count(Int64(pieces.count), "step"))"
      + (parts.isEmpty ? "." : ": \(parts.joined(separator: ", ")).")
  }
}
