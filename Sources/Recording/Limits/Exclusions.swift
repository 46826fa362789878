import EventLog
import LogFormat
import Synchronization
import TaskLogPlugin

/// Counts the events of one source that a filter excluded since the last mark, by hook.
///
/// The thread of the source counts them and records the marks; the final mark is recorded by the
/// writing thread.
final class Exclusions: Sendable {
  private let unknownHooks = Mutex<[String: Int64]>([:])
  private let counts: [Count]

  private final class Count: Sendable {
    let value = Atomic<Int64>(0)
  }

  init() {
    counts = Hook.known.map { _ in Count() }
  }

  func add(_ hook: Hook) {
    if let index = hook.place {
      counts[index].value.wrappingAdd(1, ordering: .relaxed)
    } else {
      unknownHooks.withLock { $0[hook.name, default: 0] += 1 }
    }
  }

  /// The mark with the counts so far, which are reset; `nil` if they are zero.
  func drainMark(at time: Int64) -> Event? {
    var hooks: [(String, Int64)] = []
    for (hook, count) in zip(Hook.known, counts) {
      let events = count.value.exchange(0, ordering: .relaxed)
      if events > 0 { hooks.append((hook.name, events)) }
    }
    let others = unknownHooks.withLock { others in
      defer { others = [:] }
      return others.isEmpty ? [] : others.sorted { $0.key < $1.key }
    }
    hooks += others.map { ($0.key, $0.value) }
    guard !hooks.isEmpty else { return nil }
    return Event(
      .excluded, time: time,
      args: Args(named: [
        .init("events", .int(hooks.reduce(0) { $0 + $1.1 })),
        .init("hooks", .dict(hooks.map { .init(.string($0.0), .int($0.1)) })),
      ]))
  }
}

/// The final mark of a source, recorded after the source has ended.
struct LastMark: Sendable {
  /// The index of the source.
  var source: Int
  var event: Event

  /// The encoded record of the mark, with the source_seq after the last one of its source.
  ///
  /// - Parameter lasts: the last source_seq of each source; updated for the source of this mark.
  func record(behind lasts: inout [(source: Int, last: Int64)]) -> [UInt8] {
    let index = lasts.firstIndex { $0.source == source } ?? lasts.count
    if index == lasts.count { lasts.append((source, 0)) }
    lasts[index].last += 1
    var writer = MessagePackWriter()
    writer.write(event, number: source, sourceSeq: lasts[index].last)
    return Array(writer.bytes)
  }
}

/// The final marks of all sources; computed once, and the same for every caller.
final class LastMarks: Sendable {
  private let exclusions: [Exclusions?]
  private let cached = Mutex<[LastMark]?>(nil)

  /// - Parameter exclusions: by the index of the source.
  init(_ exclusions: [Exclusions?] = []) { self.exclusions = exclusions }

  /// Available once sources no longer count.
  var all: [LastMark] {
    cached.withLock { cached in
      if let cached { return cached }
      let marks = exclusions.enumerated().compactMap { index, exclusions in
        exclusions?.drainMark(at: Clock.now()).map { LastMark(source: index, event: $0) }
      }
      cached = marks
      return marks
    }
  }
}
