import TaskLogPlugin

/// What the host of the Python plugins says at its end.
struct PythonSummary {
  private let about: Value

  init(_ about: Value) {
    self.about = about
  }

  func result(_ failures: [Replayer.Failure]) -> ExternalResult {
    var result = ExternalResult(
      failures: failures, failureCount: about["failureCount"]?.int.map(Int.init) ?? 0)
    for fields in rows("reports") where fields.count == 3 {
      let report = fields[2].string.flatMap { try? JSONReader.value($0) } ?? .null
      result.reports.append(
        .init(plugin: fields[0].string ?? "", worker: fields[1].string, report: report))
    }
    result.verifications = rows("verifications").compactMap(verification)
    result.lines = about["results"]?.elements?.compactMap(\.string) ?? []
    result.notices = about["notices"]?.elements?.compactMap(\.string) ?? []
    let drift = counts("drift")
    if !drift.isEmpty {
      result.drift = sum(drift)
      result.notices.append(
        "drift: what was rebuilt did not fit the recording and was set to it, \(total(drift)): "
          + words(drift))
    }
    let forbidden = counts("forbidden")
    if !forbidden.isEmpty {
      result.notices.append(
        "forbidden: plugins tried to act on a cluster that is only recorded, \(total(forbidden)); "
          + "nothing was done: " + words(forbidden))
    }
    let standIns = counts("standIns")
    if !standIns.isEmpty {
      result.notices.append(
        "stand-ins with type and repr were given for objects that only a pickle in the log could "
          + "rebuild, \(total(standIns)): \(words(standIns))")
    }
    return result
  }

  private func verification(_ fields: [Value]) -> Verification? {
    guard fields.count == 5, let plugin = fields[0].string else { return nil }
    var made = Verification(plugin: plugin, worker: fields[1].string)
    made.noted = fields[2].int.map(Int.init) ?? 0
    made.differing = fields[3].int.map(Int.init) ?? 0
    if let first = fields[4].elements, first.count == 8, let seq = first[1].int {
      made.first = .init(
        equalSeq: first[0].int, seq: seq, events: first[2].int.map(Int.init) ?? 0,
        lastEvent: first[3].string, lastEventSeq: first[4].int, place: first[5].string ?? "",
        live: first[6].string ?? "", replayed: first[7].string ?? "")
    }
    return made
  }

  private func rows(_ name: String) -> [[Value]] {
    (about[name]?.elements ?? []).compactMap(\.elements)
  }

  private func counts(_ name: String) -> [(name: String, count: Int64)] {
    rows(name).compactMap { fields in
      guard fields.count == 2, let name = fields[0].string, let count = fields[1].int else {
        return nil
      }
      return (name, count)
    }
  }

  /// The counts come from a program that runs plugins, which may say anything.
  private func sum(_ counts: [(name: String, count: Int64)]) -> Int64 {
    counts.reduce(0) { $0 &+ max(0, $1.count) }
  }

  private func total(_ counts: [(name: String, count: Int64)]) -> String {
    let sum = sum(counts)
    return sum == 1 ? "once" : "\(sum) times"
  }

  private func words(_ counts: [(name: String, count: Int64)]) -> String {
    let shown = counts.prefix(8).map { "\($0.name) (\($0.count))" }
    let rest = counts.count - shown.count
    return (shown + (rest > 0 ? ["and \(rest) more"] : [])).joined(separator: "; ")
  }
}
