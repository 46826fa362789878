import EventLog
import LogFormat
import TaskLogPlugin

/// Reads every event once, in the order of arrival, and checks each row by itself.
struct EventScan {
  private let check: LogCheck
  private let isQuick: Bool
  private let show: (Int64) -> Void
  private var references: References
  private let findBlob: Statement
  private let findTemplate: Statement
  /// What the events add up to.
  private(set) var stored: TotalsCheck

  /// The totals of the events of a run.
  private struct Totals {
    var events: Int64 = 0
    var first: Int64 = .max
    var last: Int64 = .min
  }

  init(
    _ check: LogCheck, _ references: References, isQuick: Bool, show: @escaping (Int64) -> Void
  ) throws {
    self.check = check
    self.references = references
    self.isQuick = isQuick
    self.show = show
    findBlob = try check.connection.prepare("SELECT 1 FROM blob WHERE hash = ?")
    findTemplate = try check.connection.prepare(LogBlobs.selectByPrefix)
    stored = try TotalsCheck(check.connection, isQuick: isQuick)
  }

  mutating func run() throws {
    // A column that is not selected is not read, which makes a quick check quick.
    let contents = isQuick ? "NULL, NULL" : "args, snapshot"
    let select = try check.connection.prepare(
      """
      SELECT seq, source, time, hook, key, start, finish, stimulus, worker, \(contents)
      FROM event ORDER BY seq
      """)
    var totals: [Int64: Totals] = [:]
    var holes: (first: Int64, count: Int64) = (0, 0)
    var last: Int64?
    var nextShow: Int64 = 1 << 16
    while try select.step() {
      let seq = select.integer(0)
      if let last, seq > last + 1 {
        if holes.count == 0 { holes.first = last + 1 }
        holes.count += seq - last - 1
      }
      last = seq
      check.events += 1
      if check.events >= nextShow {
        show(check.events)
        nextShow += 1 << 16
      }
      let source = references.sources[select.integer(1)]
      if let source {
        var sum = totals[source.run] ?? Totals()
        sum.events += 1
        sum.first = min(sum.first, seq)
        sum.last = max(sum.last, seq)
        totals[source.run] = sum
        stored.add(select, seq, source, references.hook(select.integer(3)))
      }
      inspect(at: select, seq, source)
    }
    let next = try check.connection.integer("SELECT value FROM meta WHERE name = 'next_seq'")
    if let last, let next, next > last + 1 {
      if holes.count == 0 { holes.first = last + 1 }
      holes.count += next - last - 1
    }
    try reportHoles(holes)
    try compare(totals)
  }

  private mutating func inspect(at row: Statement, _ seq: Int64, _ source: References.Source?) {
    let run = source?.run
    if references.isWhole {
      if source == nil { reportUnknown("source", row.integer(1), seq, run) }
      for (column, name) in Self.columnsOfText {
        guard !row.isNull(column) else { continue }
        let number = row.integer(column)
        if !references.texts.contains(number) { reportUnknown(name, number, seq, run) }
      }
      if !row.isNull(4), !references.keys.contains(row.integer(4)) {
        reportUnknown("key", row.integer(4), seq, run)
      }
    }
    if row.integer(2) <= 0 {
      check.list.add(
        .wrongTime, run: run, at: "seq \(seq)", "its time is \(row.integer(2)), before 1970")
    }
    let hook = references.hook(row.integer(3))
    switch hook {
    case .transition: checkTransition(row, seq, source)
    case .other(let name) where !name.isEmpty && !Hook.ofCommands.contains(hook):
      check.list.add(
        .unknownHook, run: run, subject: name, at: "seq \(seq)",
        "\(name) is no hook or mark that this version knows; it is kept and shown")
    default: break
    }
    if !isQuick {
      decode(row, 9, .unreadableArgs, seq, run)
      decode(row, 10, .unreadableSnapshot, seq, run)
    }
  }

  private static let columnsOfText: [(Int32, String)] = [
    (3, "hook"), (5, "start"), (6, "finish"), (7, "stimulus"), (8, "worker"),
  ]

  private mutating func checkTransition(
    _ row: Statement, _ seq: Int64, _ source: References.Source?
  ) {
    guard !row.isNull(4), !row.isNull(5), !row.isNull(6) else {
      let missing = [(4 as Int32, "key"), (5, "start"), (6, "finish")].filter { row.isNull($0.0) }
      check.list.add(
        .incompleteTransition, run: source?.run, at: "seq \(seq)",
        "a transition without \(missing.map(\.1).joined(separator: " and "))")
      return
    }
    let (start, finish) = (references.state(row.integer(5)), references.state(row.integer(6)))
    for state in [start, finish] {
      if case .other(let name) = state, !name.isEmpty {
        check.list.add(
          .unknownState, run: source?.run, subject: name, at: "seq \(seq)",
          "\(name) is no state that this version knows; it is kept and shown")
      }
    }
    guard let source, !LegalEdges.has(start, finish, isScheduler: source.isScheduler) else {
      return
    }
    check.list.add(
      .impossibleTransition, run: source.run, at: "seq \(seq)",
      "no task goes from \(start) to \(finish) at \(source.isScheduler ? "a scheduler" : "a worker")"
    )
  }

  private func decode(
    _ row: Statement, _ column: Int32, _ kind: Finding.Kind, _ seq: Int64, _ run: Int64?
  ) {
    guard let text = row.optionalText(column) else { return }
    if column == 9, let packed = PackedHeartbeat.bytes(of: text.utf8) {
      return checkHeartbeat(packed, time: row.integer(2), seq, run)
    }
    var missing: String?
    do {
      let value = try JSONReader.value(text) { hash in
        if !hasBlob(hash) { missing = hash }
        return []
      }
      switch value {
      // Args with positional values only are read as a tagged value.
      case .dict, .tagged: break
      default:
        check.list.add(kind, run: run, at: "seq \(seq)", "not an object; shown unchanged")
      }
    } catch {
      check.list.add(kind, run: run, at: "seq \(seq)", "\(error); replayed as unreadable")
    }
    if let missing {
      check.list.add(
        .missingBlob, run: run, at: "seq \(seq)",
        "its bytes (\(missing.prefix(12))…) are not in the log; replayed as a marked opaque value")
    }
  }

  private func checkHeartbeat(_ packed: [UInt8], time: Int64, _ seq: Int64, _ run: Int64?) {
    let name = PackedHeartbeat.name(in: packed)
    defer { findTemplate.reset() }
    guard (try? findTemplate.bind(1, name)) != nil, let isThere = try? findTemplate.step() else {
      return
    }
    guard isThere else {
      check.list.add(
        .missingBlob, run: run, at: "seq \(seq)",
        "its heartbeat template (\(name)…) is not in the log; replayed as a marked opaque "
          + "value")
      return
    }
    let template = HeartbeatText(findTemplate.bytes(1))
    guard let json = PackedHeartbeat.unpack(packed, template: template, time: time),
      (try? JSONReader.value(String(decoding: json, as: UTF8.self))) != nil
    else {
      check.list.add(
        .unreadableArgs, run: run, at: "seq \(seq)",
        "a heartbeat that does not match its template; replayed as unreadable")
      return
    }
  }

  private func hasBlob(_ hash: String) -> Bool {
    defer { findBlob.reset() }
    // A failed lookup is reported by the check of the blobs themselves.
    guard (try? findBlob.bind(1, hash)) != nil, let found = try? findBlob.step() else {
      return true
    }
    return found
  }

  private func reportUnknown(_ column: String, _ number: Int64, _ seq: Int64, _ run: Int64?) {
    check.list.add(
      .unknownReference, run: run, subject: column, at: "seq \(seq)",
      "\(column) \(number) is not in the log; the event is shown without it")
  }

  // MARK: - What it all adds up to

  /// Each seq is assigned once, and every transaction continues after the last one: only pruning,
  /// events in earlier segments of a run, and losses of a salvaged log leave seqs unused.
  private func reportHoles(_ holes: (first: Int64, count: Int64)) throws {
    guard holes.count > 0 else { return }
    let recorded =
      try check.connection.integer(
        """
        SELECT coalesce(sum(count), 0) FROM gap
        WHERE \(GapReason.leavesSeqsSQL)
        """) ?? 0
    guard holes.count > recorded else { return }
    check.list.add(
      .holeInSeq, count: holes.count - recorded, at: "seq \(holes.first)",
      "events are missing from the file without a recorded gap")
  }

  private func compare(_ totals: [Int64: Totals]) throws {
    let select = try check.connection.prepare(
      "SELECT id, events, first_seq, last_seq FROM run ORDER BY id")
    while try select.step() {
      let run = select.integer(0)
      let found = totals[run] ?? Totals()
      if select.integer(1) != found.events {
        check.list.add(
          .wrongTotals, run: run, at: "run #\(run)",
          "has a count of \(select.integer(1)) events, but contains \(found.events)")
      } else if found.events > 0,
        (select.optionalInteger(2) ?? .max) > found.first
          || (select.optionalInteger(3) ?? .min) < found.last
      {
        check.list.add(
          .wrongTotals, run: run, at: "run #\(run)",
          "its events are at \(found.first)…\(found.last), not at \(select.integer(2))…"
            + "\(select.integer(3)); readers miss some")
      }
    }
  }
}
