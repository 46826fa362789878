import BrokerMessages
import EventLog
import LogFormat
import TaskLogPlugin

/// Batches the records of a spool into messages.
final class MessageBatcher: SpoolSink {
  /// A message of this size is sent, however few events it holds.
  private static let targetBytes = 256 << 10
  /// A broker would refuse a larger message; the event is then replaced by a gap.
  private static let mostBytes = 96 << 20

  private let payload: Publishing.Payload
  private var writer: EventMessageWriter
  private var json = JSONWriter()
  /// The source ids of schedulers, the only ones whose transitions are published.
  private var schedulers: Set<Int64> = []
  /// The time of the newest event.
  private(set) var lastTime: Int64?
  /// Complete messages in order.
  private var bodies: [[UInt8]] = []

  init(run: RunHeader, payload: Publishing.Payload) {
    self.payload = payload
    writer = EventMessageWriter(run: run)
  }

  func add(_ source: Source, run: Int64, number: Int?) -> Int64 {
    let number = number ?? 0
    writer.add(source, number: number)
    if source.kind == .scheduler { schedulers.insert(Int64(number)) }
    return Int64(number)
  }

  func append(_ event: EncodedEvent, source: Int64, sourceSeq: Int64) throws {
    lastTime = max(lastTime ?? event.time, event.time)
    switch payload {
    case .transitions:
      guard schedulers.contains(source), let body = try TransitionMessage.bytes(event, &json) else {
        return
      }
      bodies.append(body)
    case .events:
      let fits = try writer.append(
        event, source: Int(source), sourceSeq: sourceSeq, mostBytes: Self.mostBytes)
      guard !fits else { return }
      addGap(
        source: source, sourceSeq: sourceSeq, count: 1, time: event.time,
        reason: "too large for a message")
    }
  }

  func addGap(source: Int64, sourceSeq: Int64, count: Int64, time: Int64, reason: String) {
    guard payload != .transitions else { return }
    writer.appendGap(
      source: Int(source), sourceSeq: sourceSeq, count: count, time: time, reason: reason)
  }

  /// Adds the end of the run.
  func end(_ how: RunEnd, at time: Int64, lastSourceSeqs: [(source: Int, last: Int64)]) {
    guard payload != .transitions else { return }
    writer.end(how, at: time, lastSourceSeqs: lastSourceSeqs)
  }

  /// Whether events wait for their message to be completed.
  var isWaiting: Bool { !writer.isEmpty }

  /// Returns and removes the complete messages; if `all`, also completes the current one.
  func removeBodies(all: Bool) -> [[UInt8]] {
    if case .events(let batch) = payload, !writer.isEmpty,
      all || writer.eventCount >= batch || writer.byteCount >= Self.targetBytes
    {
      bodies.append(writer.finish())
    }
    defer { bodies.removeAll(keepingCapacity: true) }
    return bodies
  }
}
