import EventLog
import TaskLogPlugin

extension LogReader {
  /// The events with the longest spans of work of some runs, in the order of arrival: the events of
  /// the first rows of the view `slowest`, which then has to read only these, instead of sorting
  /// the spans of all tasks.
  ///
  /// - Parameters:
  ///   - action: only spans of this kind.
  ///   - limit: the number of spans.
  ///   - scopes: the parts of the runs; spans are cut at the edges of their time window.
  /// - Throws: `LogError`.
  package func eventsWithLongestSpans(
    in runs: [RunInfo], action: String?, limit: Int, scopes: RunScopes = RunScopes()
  ) throws -> [Int64] {
    guard limit > 0 else { return [] }
    return try translating {
      let wanted: OutcomeScan.Action =
        action.map { .named(Array(JSONWriter.text(.string($0)).utf8.dropFirst().dropLast())) }
        ?? .any
      let transition = try KnownTexts(self).transition
      var longest = LongestSpans(limit: limit)
      for run in runs {
        guard let range = try range(of: run) else { continue }
        let schedulers = SourceIndex(
          try sources(of: run).filter { $0.source.kind == .scheduler })
        let spans = try scopes[run].map { try ScopedSpans(self, run, $0) }
        try scan(range, schedulers, transition, wanted, spans, into: &longest)
      }
      return longest.events.map(\.seq).sorted()
    }
  }

  private func scan(
    _ range: ClosedRange<Int64>, _ schedulers: SourceIndex, _ transition: Int64,
    _ wanted: OutcomeScan.Action, _ spans: ScopedSpans?, into longest: inout LongestSpans
  ) throws {
    let (path, limit) = (path, longest.limit)
    let scan = ParallelScan<LongestSpans>(
      """
      SELECT seq, source, args, key FROM event
      WHERE seq BETWEEN ? AND ? AND hook = \(transition) AND args IS NOT NULL ORDER BY seq
      """, over: range)
    try scan.run(self) { select, range in
      var part = LongestSpans(limit: limit)
      try select.forEachRow(in: range, path) { seq in
        guard schedulers.place(select.integer(1)) != nil,
          spans?.scope.includes(task: select.integer(3)) ?? true,
          let seconds = select.withText(
            2,
            { text in
              guard let spans else { return OutcomeScan(text, longestOf: wanted).longest }
              return spans.longest(of: wanted, in: text, seq)
            }) ?? nil
        else { return }
        part.add(seq, seconds)
      }
      return part
    } take: { part in
      for event in part.events { longest.add(event.seq, event.seconds) }
    }
  }
}

/// The events with the longest spans seen so far: a heap with the shortest of them at the top. Of
/// equally long spans the earlier event is preferred.
struct LongestSpans: Sendable {
  struct Event {
    var seq: Int64
    var seconds: Double

    /// Whether it is evicted first.
    func isWorse(than other: Event) -> Bool {
      seconds < other.seconds || (seconds == other.seconds && seq > other.seq)
    }
  }

  let limit: Int
  private(set) var events: [Event] = []

  init(limit: Int) {
    self.limit = limit
  }

  mutating func add(_ seq: Int64, _ seconds: Double) {
    let event = Event(seq: seq, seconds: seconds)
    if events.count < limit {
      events.append(event)
      rise(from: events.count - 1)
    } else if let worst = events.first, worst.isWorse(than: event) {
      events[0] = event
      sink()
    }
  }

  private mutating func rise(from start: Int) {
    var place = start
    while place > 0, events[place].isWorse(than: events[(place - 1) / 2]) {
      events.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink() {
    var place = 0
    while true {
      var next = 2 * place + 1
      guard next < events.count else { return }
      if next + 1 < events.count, events[next + 1].isWorse(than: events[next]) { next += 1 }
      guard events[next].isWorse(than: events[place]) else { return }
      events.swapAt(place, next)
      place = next
    }
  }
}
