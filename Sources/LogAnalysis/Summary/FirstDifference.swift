import EventLog
import LogFormat
import TaskLogPlugin

/// What a scheduler recorded for one event, without what always differs between runs.
package struct SchedulerStep: Sendable {
  package var seq: Int64
  package var time: Int64
  package var hook: String
  package var key: String?
  package var start: String?
  package var finish: String?
}

/// The first event in which the schedulers of two runs differ.
package struct FirstDifference: Sendable {
  /// The index of the event in its run, from 1.
  package var number: Int64
  /// The event of each run; `nil` for a run that had ended before.
  package var first: SchedulerStep?
  package var second: SchedulerStep?

  /// The first event of the schedulers that differs: hook, key and states are compared.
  ///
  /// - Returns: `nil` if all are the same.
  /// - Throws: `LogError`.
  package init?(
    _ first: (reader: LogReader, run: RunInfo), _ second: (reader: LogReader, run: RunInfo)
  ) throws {
    let (one, two) = (
      try StepCursor(first.reader, first.run), try StepCursor(second.reader, second.run)
    )
    // In one file, equal values have equal row IDs.
    let isOneFile = first.reader === second.reader
    number = 0
    while true {
      number += 1
      let (a, b) = (try one.next(), try two.next())
      if a == nil, b == nil { return nil }
      if let a, let b {
        if isOneFile, a.isSame(as: b) { continue }
        if !isOneFile, try one.step(a).isSame(as: two.step(b)) { continue }
      }
      self.first = try a.map { try one.step($0) }
      self.second = try b.map { try two.step($0) }
      return
    }
  }
}

extension SchedulerStep {
  fileprivate func isSame(as other: SchedulerStep) -> Bool {
    func same(_ a: String?, _ b: String?) -> Bool {
      guard let a, let b else { return a == nil && b == nil }
      return a.sameBytes(as: b)
    }
    return same(hook, other.hook) && same(key, other.key) && same(start, other.start)
      && same(finish, other.finish)
  }
}

/// Iterates over the events of a run's scheduler in the order of happening, a page at a time.
private final class StepCursor {
  struct Numbers {
    var seq, time, hook, key, start, finish: Int64

    func isSame(as other: Numbers) -> Bool {
      hook == other.hook && key == other.key && start == other.start && finish == other.finish
    }
  }

  private static let pageSize = 4096
  private let reader: LogReader
  private let select: Statement
  private var sources: ArraySlice<Int64>
  private var position = Int64.min
  private var page: [Numbers] = []
  private var place = 0

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    sources = try reader.sources(of: run).filter { $0.source.kind == .scheduler }
      .map(\.number)[...]
    select = try reader.translating {
      try reader.connection.prepare(
        """
        SELECT source_seq, seq, time, hook, key, start, finish FROM event
        WHERE source = ? AND source_seq > ? ORDER BY source_seq LIMIT \(Self.pageSize)
        """)
    }
  }

  func next() throws -> Numbers? {
    while place == page.count {
      guard let source = sources.first else { return nil }
      try reader.translating { try readPage(source) }
      if page.count < Self.pageSize {
        sources.removeFirst()
        position = .min
      }
    }
    place += 1
    return page[place - 1]
  }

  private func readPage(_ source: Int64) throws {
    page.removeAll(keepingCapacity: true)
    place = 0
    defer { select.reset() }
    try select.bind(1, source)
    try select.bind(2, position)
    while try select.step() {
      try reader.checkOrder(of: select.integer(0), after: position)
      position = select.integer(0)
      page.append(
        Numbers(
          seq: select.integer(1), time: select.integer(2), hook: select.integer(3),
          key: select.integer(4), start: select.integer(5), finish: select.integer(6)))
    }
  }

  func step(_ numbers: Numbers) throws -> SchedulerStep {
    func text(_ number: Int64) throws -> String? {
      number == 0 ? nil : try reader.texts.element(number)
    }
    return try reader.translating {
      SchedulerStep(
        seq: numbers.seq, time: numbers.time, hook: try text(numbers.hook) ?? "",
        key: numbers.key == 0 ? nil : try reader.keys.element(numbers.key)?.text,
        start: try text(numbers.start), finish: try text(numbers.finish))
    }
  }
}
