import EventLog
import TaskLogPlugin

/// Checks of event numbers and of sources.
extension LogCheck {
  func checkNumbers() throws {
    let next = try connection.integer("SELECT value FROM meta WHERE name = 'next_seq'")
    let last = try connection.integer("SELECT max(seq) FROM event") ?? 0
    if let next {
      if next <= last {
        list.add(
          .wrongNextSeq, at: "meta",
          "the next event would be \(next), and \(last) is in use; recorders continue after it")
      }
    } else {
      list.add(.wrongNextSeq, at: "meta", "has no 'next_seq'; recorders refuse the log")
    }
    try checkKeys()
  }

  private func checkKeys() throws {
    let select = try connection.prepare("SELECT id, typed FROM key WHERE typed != ''")
    while try select.step() {
      guard (try? JSONReader.value(select.text(1))) == nil else { continue }
      list.add(
        .unreadableKey, at: "key \(select.integer(0))",
        "its typed value cannot be decoded; the key is read as plain text")
    }
    for column in ["prefix", "key_group"] {
      let dangling =
        try connection.integer(
          """
          SELECT count(*) FROM key WHERE \(column) IS NOT NULL
            AND \(column) NOT IN (SELECT id FROM text)
          """) ?? 0
      guard dangling > 0 else { continue }
      list.add(
        .unknownReference, count: dangling, subject: "key." + column, at: "table key",
        "keys have a \(column) that is not in the log; queries by it miss them")
    }
  }

  // MARK: - Sources

  private struct Gap {
    var first: Int64
    var count: Int64
    var end: Int64 { first.addingReportingOverflow(count).partialValue }
  }

  /// Within a source, numbers count up from 1 without holes, except for recorded gaps.
  func checkSources() throws {
    let sources = try connection.prepare(
      """
      SELECT source.id, source.run, source.kind, source.address, run.id IS NULL FROM source
      LEFT JOIN run ON run.id = source.run ORDER BY source.id
      """)
    while try sources.step() {
      let (id, run) = (sources.integer(0), sources.integer(1))
      let name = Source.label(sources.text(2), sources.text(3))
      if sources.integer(4) != 0 {
        list.add(
          .unknownReference, subject: "source.run", at: "source \(id)",
          "run \(run) of \(name) is not in the log; its events are in no run")
      }
      try checkSource(id, run, name)
    }
    let strays =
      try connection.integer(
        "SELECT count(*) FROM gap WHERE source NOT IN (SELECT id FROM source)") ?? 0
    if strays > 0 {
      list.add(
        .unknownReference, count: strays, subject: "gap.source", at: "table gap",
        "gaps belong to sources that are not in the log")
    }
  }

  private func checkSource(_ id: Int64, _ run: Int64, _ name: String) throws {
    let gaps = try gaps(of: id, run, name)
    let select = try connection.prepare(
      "SELECT source_seq FROM event WHERE source = ? ORDER BY source_seq")
    try select.bind(1, id)
    // The lowest number that no event or gap accounts for.
    var next: Int64 = 1
    var index = 0
    func account(to number: Int64) {
      while index < gaps.count, gaps[index].first <= number {
        if gaps[index].first > next { reportHole(from: next, to: gaps[index].first) }
        next = max(next, gaps[index].end)
        index += 1
      }
    }
    func reportHole(from first: Int64, to end: Int64) {
      // Another log may contain them.
      guard !partialRuns.contains(run) else { return }
      list.add(
        .holeInSource, run: run, count: end - first, at: "\(name), number \(first)",
        "events are missing without a recorded gap")
    }
    while try select.step() {
      let number = select.integer(0)
      account(to: number)
      if number > next {
        reportHole(from: next, to: number)
      } else if number < next {
        list.add(
          .wrongGap, run: run, at: "\(name), number \(number)",
          "a gap records this event as missing, but it exists")
      }
      next = max(next, number + 1)
    }
    account(to: .max)
  }

  private func gaps(of source: Int64, _ run: Int64, _ name: String) throws -> [Gap] {
    let select = try connection.prepare(
      "SELECT source_seq, count, reason FROM gap WHERE source = ? ORDER BY source_seq, id")
    try select.bind(1, source)
    var gaps: [Gap] = []
    while try select.step() {
      let gap = Gap(first: select.integer(0), count: select.integer(1))
      guard gap.count > 0, gap.first > 0, gap.first <= .max - gap.count else {
        list.add(
          .wrongGap, run: run, at: "\(name), number \(gap.first)",
          "a gap of \(gap.count) events is none")
        continue
      }
      if let last = gaps.last, gap.first < last.end {
        list.add(
          .wrongGap, run: run, at: "\(name), number \(gap.first)",
          "two gaps count the same events")
      }
      let reason = select.text(2)
      let kind: Finding.Kind =
        GapReason.isPruned(reason)
        ? .prunedEvents : RunFiles.isEarlier(reason) ? .earlierFile : .knownGap
      list.add(
        kind, run: run, count: gap.count,
        subject: name + reason,
        at: "\(name), number \(gap.first)", "events are missing, as the log records: \(reason)")
      gaps.append(gap)
    }
    return gaps
  }
}

extension Source {
  /// What a finding calls a source.
  static func label(_ kind: String, _ address: String) -> String {
    switch Kind(rawValue: kind) {
    case .scheduler: "the scheduler"
    case .command: "the command '\(address)'"
    case .worker, nil: "worker \(address)"
    }
  }
}
