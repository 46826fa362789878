import TaskLogPlugin

/// Decodes the results that the host of the Python plugins sends at its end.
struct PythonSummary {
  private let summary: Value

  init(_ summary: Value) {
    self.summary = summary
  }

  func result(_ failures: [Replayer.Failure]) -> ExternalResult {
    var result = ExternalResult(
      failures: failures, failureCount: summary["failureCount"]?.int.map(Int.init) ?? 0)
    for fields in rows("reports") where fields.count == 3 {
      let report = fields[2].string.flatMap { try? JSONReader.value($0) } ?? .null
      result.reports.append(
        .init(plugin: fields[0].string ?? "", worker: fields[1].string, report: report))
    }
    result.verifications = rows("verifications").compactMap(verification)
    result.lines = summary["results"]?.elements?.compactMap(\.string) ?? []
    result.notices = summary["notices"]?.elements?.compactMap(\.string) ?? []
    let drift = counts("drift")
    if !drift.isEmpty {
      result.drift = sum(drift)
      result.notices.append(
        "drift: rebuilt state did not match the recording and was set to it, \(total(drift)): "
          + listText(drift))
    }
    let forbidden = counts("forbidden")
    if !forbidden.isEmpty {
      result.notices.append(
        "forbidden: plugins tried to act on a recorded cluster, \(total(forbidden)); "
          + "nothing was done: " + listText(forbidden))
    }
    let standIns = counts("standIns")
    if !standIns.isEmpty {
      result.notices.append(
        "stand-ins with type and repr replaced objects that only a pickle in the log could rebuild"
          + ", \(total(standIns)): \(listText(standIns))")
    }
    return result
  }

  private func verification(_ fields: [Value]) -> Verification? {
    guard fields.count == 5, let plugin = fields[0].string else { return nil }
    var comparison = Verification(plugin: plugin, worker: fields[1].string)
    comparison.noted = fields[2].int.map(Int.init) ?? 0
    comparison.differing = fields[3].int.map(Int.init) ?? 0
    if let first = fields[4].elements, first.count == 8, let seq = first[1].int {
      comparison.first = .init(
        equalSeq: first[0].int, seq: seq, events: first[2].int.map(Int.init) ?? 0,
        lastEvent: first[3].string, lastEventSeq: first[4].int, place: first[5].string ?? "",
        live: first[6].string ?? "", replayed: first[7].string ?? "")
    }
    return comparison
  }

  private func rows(_ name: String) -> [[Value]] {
    (summary[name]?.elements ?? []).compactMap(\.elements)
  }

  private func counts(_ name: String) -> [(name: String, count: Int64)] {
    rows(name).compactMap { fields in
      guard fields.count == 2, let name = fields[0].string, let count = fields[1].int else {
        return nil
      }
      return (name, count)
    }
  }

  /// The counts come from a program that runs plugins, so they may be any number.
  private func sum(_ counts: [(name: String, count: Int64)]) -> Int64 {
    counts.reduce(0) { $0 &+ max(0, $1.count) }
  }

  private func total(_ counts: [(name: String, count: Int64)]) -> String {
    let sum = sum(counts)
    return sum == 1 ? "once" : "\(sum) times"
  }

  private func listText(_ counts: [(name: String, count: Int64)]) -> String {
    let shown = counts.prefix(8).map { "\($0.name) (\($0.count))" }
    let rest = counts.count - shown.count
    return (shown + (rest > 0 ? ["and \(rest) more"] : [])).joined(separator: "; ")
  }
}
