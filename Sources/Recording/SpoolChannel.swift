import CSupport
import LogFormat
import TaskLogPlugin

/// Numbers the events of one source, encodes them into its own memory, and stores them in the spool
/// of the log, of the publisher, or of both.
///
/// One thread at a time calls it, as `EventChannel` says; that is what `@unchecked` relies on.
final class SpoolChannel: EventChannel, @unchecked Sendable {
  private let number: Int
  private let source: Source
  private let limits: SourceLimits?
  private let isOpen: OpenFlag
  private let waiter: OpenFlag?
  private let generation = tl_generation()

  // Used by one thread at a time: dynamic exclusivity checks would only cost time.
  @exclusivity(unchecked) private var scratch: MessagePackWriter
  @exclusivity(unchecked) private(set) var sourceSeq: Int64 = 0
  @exclusivity(unchecked) private var output: SpoolOutput
  /// For the same records in the publisher's spool, if they are both recorded and published.
  @exclusivity(unchecked) private var published: SpoolOutput?

  /// - Parameters:
  ///   - published: a second spool, in which the same records are stored.
  ///   - waits: if there is no room, wait for it instead of dropping the event.
  ///   - limits: filter, redaction and truncation.
  ///   - isOpen: whether the recorder still accepts events.
  init(
    number: Int, source: Source, spool: Spool, published: Spool?, waits: Bool,
    limits: SourceLimits?, isOpen: OpenFlag
  ) {
    self.limits = limits
    self.number = number
    self.source = source
    self.isOpen = isOpen
    waiter = waits ? isOpen : nil
    var scratch = MessagePackWriter()
    output = SpoolOutput(spool, number: number, source: source, &scratch)
    if let published {
      self.published = SpoolOutput(published, number: number, source: source, &scratch)
    }
    self.scratch = scratch
  }

  func record(_ event: Event) {
    // In a forked child the spool is still the parent's.
    guard generation == tl_generation(), isOpen.value else { return ForkGuard.reportOnce() }
    if let limits {
      let isAdmitted = limits.admits(event)
      if let mark = limits.dueMark() { store(mark) }
      guard isAdmitted else { return }
    }
    store(event)
  }

  @inline(__always)
  private func store(_ event: borrowing Event) {
    sourceSeq += 1
    if isBehind { catchUp(event.time) }
    encode(event)
    storeEncoded()
  }

  /// Stores an event whose fields, starting with the time, are already encoded; see `SpoolRecord`.
  ///
  /// - Parameters:
  ///   - assigned: its source_seq, if the source assigns it.
  ///   - time: for gaps.
  /// - Returns: the source_seq of the last event that was stored or counted as missing; `nil` if
  ///   the recorder is closed.
  func record(
    encoded fields: UnsafeRawBufferPointer, sourceSeq assigned: Int64? = nil,
    time: @autoclosure () -> Int64
  ) -> Int64? {
    guard generation == tl_generation(), isOpen.value else { return nil }
    if let assigned {
      // A repeated event is in the spool already.
      guard assigned > sourceSeq, assigned < 1 << 48 else { return sourceSeq }
      // A source that assigns its source_seqs has applied the filters itself.
      if assigned > sourceSeq + 1 {
        recordGap(assigned - sourceSeq - 1, "lost on the way", time: time())
      }
    } else if let limits {
      let isAdmitted = limits.admits(encoded: fields)
      if let mark = limits.dueMark() { store(mark) }
      // It has been handled: for callers that count from 1, a 0 would mean a refusal.
      guard isAdmitted else { return max(1, sourceSeq) }
    }
    sourceSeq += 1
    if isBehind { catchUp(time()) }
    scratch.removeAll()
    scratch.writeEvent(encoded: fields, number: number, sourceSeq: sourceSeq)
    limits?.capEncoded(fields, number: number, sourceSeq: sourceSeq, in: &scratch)
    storeEncoded()
    return sourceSeq
  }

  /// Records that the next `count` events are missing, and why.
  func recordGap(_ count: Int64, _ reason: String, time: Int64) {
    guard generation == tl_generation(), isOpen.value, count > 0, count < 1 << 48 else { return }
    if isBehind { catchUp(time) }
    let missing = sourceSeq + 1...sourceSeq + count
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: missing.lowerBound, count: count, time: time, reason: reason)
    output.store(gap: scratch.bytes, of: missing)
    published?.store(gap: scratch.bytes, of: missing)
    sourceSeq = missing.upperBound
  }

  /// Counts of filtered events that are not recorded yet; for when the source is done.
  var exclusions: Exclusions? { limits?.exclusions }

  /// Whether events are accepted.
  var isAccepting: Bool { generation == tl_generation() && isOpen.value }

  /// The number of events that were dropped for lack of room.
  var lostCount: Int64 { output.lostCount }

  @inline(__always)
  private func encode(_ event: borrowing Event) {
    scratch.removeAll()
    if let limits {
      limits.write(event, number: number, sourceSeq: sourceSeq, to: &scratch)
    } else {
      scratch.write(event, number: number, sourceSeq: sourceSeq)
    }
  }

  @inline(__always)
  private func storeEncoded() {
    output.store(scratch.bytes, sourceSeq: sourceSeq, waitingWhile: waiter)
    published?.store(scratch.bytes, sourceSeq: sourceSeq, waitingWhile: waiter)
  }

  @inline(__always)
  private var isBehind: Bool { output.isBehind || published?.isBehind == true }

  private func catchUp(_ time: Int64) {
    output.catchUp(source, time: time, &scratch)
    published?.catchUp(source, time: time, &scratch)
  }
}
