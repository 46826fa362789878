import EventLog
import LogFormat
import Synchronization
import TaskLogPlugin

/// How many events of one source a filter has left out, by their hook, since that was last noted.
///
/// Its source's thread counts and notes; what is left at the end the thread that writes notes.
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
    if let place = hook.place {
      counts[place].value.wrappingAdd(1, ordering: .relaxed)
    } else {
      unknownHooks.withLock { $0[hook.name, default: 0] += 1 }
    }
  }

  /// The mark that notes what has been counted; nothing when there is nothing to be noted.
  func takeMark(at time: Int64) -> Event? {
    var hooks: [(String, Int64)] = []
    for (hook, count) in zip(Hook.known, counts) {
      let taken = count.value.exchange(0, ordering: .relaxed)
      if taken > 0 { hooks.append((hook.name, taken)) }
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

/// The mark that notes what a source has left out last, when nobody records for it any more.
struct LastMark: Sendable {
  /// The number of the source.
  var source: Int
  var event: Event

  /// The mark as it lies in a spool, with the number behind the last of its source.
  ///
  /// - Parameter lasts: the numbers of the last events of sources; it is its source's last then.
  func record(behind lasts: inout [(source: Int, last: Int64)]) -> [UInt8] {
    let place = lasts.firstIndex { $0.source == source } ?? lasts.count
    if place == lasts.count { lasts.append((source, 0)) }
    lasts[place].last += 1
    var writer = MessagePackWriter()
    writer.write(event, number: source, sourceSeq: lasts[place].last)
    return Array(writer.bytes)
  }
}

/// What sources have left out since they have last noted it; taken once, and the same for all who ask.
final class LastMarks: Sendable {
  private let exclusions: [Exclusions?]
  private let taken = Mutex<[LastMark]?>(nil)

  /// - Parameter exclusions: by the number of the source.
  init(_ exclusions: [Exclusions?] = []) { self.exclusions = exclusions }

  /// Known when sources do not count any more.
  var all: [LastMark] {
    taken.withLock { taken in
      if let taken { return taken }
      let marks = exclusions.enumerated().compactMap { number, exclusions in
        exclusions?.takeMark(at: Clock.now()).map { LastMark(source: number, event: $0) }
      }
      taken = marks
      return marks
    }
  }
}
