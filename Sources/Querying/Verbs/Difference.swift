import EventLog

extension Verbs {
  /// Two runs side by side, and the first event of their schedulers in which they differ. What no two
  /// runs have in common (times, stimuli, addresses of workers) is not looked at.
  ///
  /// - Throws: `LogError`.
  public static func difference(
    _ first: (reader: LogReader, run: RunInfo), _ second: (reader: LogReader, run: RunInfo)
  ) throws -> Report {
    let one = try first.reader.summary(of: first.run)
    let two = try second.reader.summary(of: second.run)
    let places = try firstDifference(first, second)
    return Report([
      Report.Table(
        "prefixes", title: "Tasks by prefix", columns: prefixColumns, rows: prefixRows(one, two)),
      Report.Table(
        "states", title: "Seconds in each state", columns: stateColumns,
        rows: stateRows(one, two)),
      Report.Table(
        "first_difference", title: "The first difference", columns: eventColumns, rows: places),
    ])
  }

  // MARK: - Figures

  private static let prefixColumns: [Column] = [
    Column("prefix", leastWidth: 14),
    Column("tasks1"), Column("tasks2"), Column("done1", rank: 4), Column("done2", rank: 4),
    Column("failed1"), Column("failed2"), Column("retried1", rank: 3),
    Column("retried2", rank: 3), Column("nbytes1", rank: 2), Column("nbytes2", rank: 2),
    Column("compute1", rank: 1), Column("compute2", rank: 1),
  ]

  private static func prefixRows(_ one: RunSummary, _ two: RunSummary) -> [[SQLiteValue]] {
    let names = Set(one.prefixes.map(\.name)).union(two.prefixes.map(\.name))
    return names.sorted { ($0 ?? "") < ($1 ?? "") }.map { name in
      let a = one.prefixes.first { $0.name == name } ?? RunSummary.Prefix()
      let b = two.prefixes.first { $0.name == name } ?? RunSummary.Prefix()
      return [
        text(name), .integer(a.tasks), .integer(b.tasks), .integer(a.done), .integer(b.done),
        .integer(a.failed), .integer(b.failed), .integer(a.retried), .integer(b.retried),
        .integer(a.nbytes), .integer(b.nbytes), rounded(a.computeSeconds, 1e6),
        rounded(b.computeSeconds, 1e6),
      ]
    }
  }

  private static let stateColumns: [Column] = [
    Column("prefix", leastWidth: 14), Column("source", rank: 2, leastWidth: 9),
    Column("state", .state), Column("count1", rank: 1), Column("count2", rank: 1),
    Column("p50_1"), Column("p50_2"), Column("max1", rank: 3), Column("max2", rank: 3),
  ]

  private static func stateRows(_ one: RunSummary, _ two: RunSummary) -> [[SQLiteValue]] {
    struct Place: Hashable, Comparable {
      var prefix, source, state: String

      init(_ state: RunSummary.State) {
        (prefix, source, self.state) = (state.prefix ?? "", state.source, state.state)
      }

      static func < (a: Place, b: Place) -> Bool {
        (a.prefix, a.source, a.state) < (b.prefix, b.source, b.state)
      }
    }
    let before = Dictionary(one.states.map { (Place($0), $0) }, uniquingKeysWith: { $1 })
    let after = Dictionary(two.states.map { (Place($0), $0) }, uniquingKeysWith: { $1 })
    return Set(before.keys).union(after.keys).sorted().map { place in
      let (a, b) = (before[place], after[place])
      return [
        .text(place.prefix), .text(place.source), .text(place.state), .integer(a?.count ?? 0),
        .integer(b?.count ?? 0), a.map { seconds($0.p50) } ?? .null,
        b.map { seconds($0.p50) } ?? .null, a.map { seconds($0.max) } ?? .null,
        b.map { seconds($0.max) } ?? .null,
      ]
    }
  }

  // MARK: - The stream

  private static let eventColumns: [Column] = [
    Column("side"), Column("event"), Column("seq", rank: 2), Column("time", .time, rank: 1),
    Column("hook"), key, Column("start", .state), Column("finish", .state),
  ]

  /// The first event that is another, of both sides; where one has ended before, only the other's.
  private static func firstDifference(
    _ first: (reader: LogReader, run: RunInfo), _ second: (reader: LogReader, run: RunInfo)
  ) throws -> [[SQLiteValue]] {
    let one = try SchedulerStream(first.reader, first.run)
    let two = try SchedulerStream(second.reader, second.run)
    var number: Int64 = 0
    while true {
      number += 1
      let (a, b) = (try one.next(), try two.next())
      guard let a, let b else {
        return [(1, a), (2, b)].compactMap { side, event in event.map { row(side, number, $0) } }
      }
      guard isSame(a, b) else { return [row(1, number, a), row(2, number, b)] }
    }
  }

  private static func isSame(_ a: RecordedEvent, _ b: RecordedEvent) -> Bool {
    a.event.hook == b.event.hook && a.event.key == b.event.key && a.event.start == b.event.start
      && a.event.finish == b.event.finish
  }

  private static func row(_ side: Int64, _ number: Int64, _ recorded: RecordedEvent)
    -> [SQLiteValue]
  {
    let event = recorded.event
    return [
      .integer(side), .integer(number), .integer(recorded.seq), time(event.time),
      .text(event.hook.name), text(event.key?.text), text(event.start?.name),
      text(event.finish?.name),
    ]
  }
}

/// The events of a run's scheduler, one after the other.
private final class SchedulerStream {
  private let cursors: [SourceCursor]
  private var current = 0

  init(_ reader: LogReader, _ run: RunInfo) throws {
    cursors = try reader.sources(of: run).filter { $0.source.kind == .scheduler }.map {
      try reader.events(of: $0)
    }
  }

  func next() throws -> RecordedEvent? {
    while current < cursors.count {
      if let event = try cursors[current].nextEvent() { return event }
      current += 1
    }
    return nil
  }
}
