import CSupport
import Glibc
import LogFormat
import TaskLogPlugin

/// Stores one source's events in the spool: numbers them, encodes them into its own memory, and
/// copies them over.
///
///
/// One thread at a time calls it, as `EventChannel` says; that is what `@unchecked` relies on.
final class SpoolChannel: EventChannel, @unchecked Sendable {
  let number: Int
  private let source: Source
  private let spool: Spool
  private let slot: UnsafeMutablePointer<UInt64>?
  private let waits: Bool
  private let limits: SourceLimits?
  private let isOpen: OpenFlag
  /// Stores the same events in another spool.
  private let mirror: SpoolChannel?
  private let generation = tl_generation()

  // Used by one thread at a time: dynamic exclusivity checks would only cost time.
  @exclusivity(unchecked) private var scratch = MessagePackWriter()
  @exclusivity(unchecked) private(set) var sourceSeq: Int64 = 0
  @exclusivity(unchecked) private var isRegistered = false
  /// A run of dropped events, from the first one until their gap is in the spool.
  @exclusivity(unchecked) private var missing: Missing?

  private struct Missing {
    var sourceSeq: Int64
    var count: Int64
    var reason: String
  }

  /// - Parameters:
  ///   - waits: if there is no room, wait for it instead of dropping the event.
  ///   - limits: filter, redaction and truncation.
  ///   - isOpen: whether the recorder still accepts events.
  ///   - second: stores the same events under the same source_seqs; only this channel calls it.
  init(
    number: Int, source: Source, spool: Spool, waits: Bool, limits: SourceLimits?, isOpen: OpenFlag,
    second: SpoolChannel? = nil
  ) {
    mirror = second
    self.limits = limits
    self.number = number
    self.source = source
    self.spool = spool
    self.waits = waits
    self.isOpen = isOpen
    slot = spool.slot(of: number)
    isRegistered = register()
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
    if !isRegistered || missing != nil { catchUp(event.time) }
    encode(event)
    if missing != nil || !put(scratch.bytes) { drop(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    mirror?.store(scratch.bytes, sourceSeq: sourceSeq, time: event.time)
  }

  /// Stores an event that another channel has encoded and numbered.
  private func store(
    _ encoded: UnsafeRawBufferPointer, sourceSeq: Int64, time: @autoclosure () -> Int64
  ) {
    self.sourceSeq = sourceSeq
    if !isRegistered || missing != nil { catchUp(time()) }
    if missing != nil || !put(encoded) { drop(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
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
    if !isRegistered || missing != nil { catchUp(time()) }
    scratch.removeAll()
    scratch.writeEvent(encoded: fields, number: number, sourceSeq: sourceSeq)
    limits?.capEncoded(fields, number: number, sourceSeq: sourceSeq, in: &scratch)
    if missing != nil || !put(scratch.bytes) { drop(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    mirror?.store(scratch.bytes, sourceSeq: sourceSeq, time: time())
    return sourceSeq
  }

  /// Records that the next `count` events are missing, and why.
  func recordGap(_ count: Int64, _ reason: String, time: Int64) {
    guard generation == tl_generation(), isOpen.value, count > 0, count < 1 << 48 else { return }
    if !isRegistered || missing != nil { catchUp(time) }
    sourceSeq += 1
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: sourceSeq, count: count, time: time, reason: reason)
    if missing != nil || !spool.put(scratch.bytes) { drop(count) }
    sourceSeq += count - 1
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    mirror?.recordGap(count, reason, time: time)
  }

  /// Counts of filtered events that are not recorded yet; for when the source is done.
  var exclusions: Exclusions? { limits?.exclusions }

  /// Whether events are accepted.
  var isAccepting: Bool { generation == tl_generation() && isOpen.value }

  /// The number of events that were dropped for lack of room.
  private(set) var lostCount: Int64 = 0

  @inline(__always)
  private func encode(_ event: borrowing Event) {
    scratch.removeAll()
    if let limits {
      limits.write(event, number: number, sourceSeq: sourceSeq, to: &scratch)
    } else {
      scratch.write(event, number: number, sourceSeq: sourceSeq)
    }
  }

  /// Stores an encoded record in the spool, in parts if it is too long for one record.
  private func put(_ encoded: UnsafeRawBufferPointer) -> Bool {
    let maximum = SpoolLayout.maximumContent(segmentSize: spool.segmentSize)
    guard encoded.count > maximum else { return storeBlocking(encoded) }
    // The framing of a part takes up less than this.
    let size = maximum - 64
    let count = (encoded.count + size - 1) / size
    var part = MessagePackWriter(capacity: maximum)
    for index in 0..<count {
      let start = index * size
      let bytes = encoded[start..<min(start + size, encoded.count)]
      part.removeAll()
      part.writePart(
        UnsafeRawBufferPointer(rebasing: bytes), index: index, count: count, number: number)
      guard storeBlocking(part.bytes) else { return false }
    }
    return true
  }

  private func storeBlocking(_ bytes: UnsafeRawBufferPointer) -> Bool {
    while !spool.put(bytes) {
      guard waits, isOpen.value else { return false }
      usleep(500)
    }
    return true
  }

  private func register() -> Bool {
    scratch.removeAll()
    scratch.write(source: source, number: number)
    return spool.put(scratch.bytes, isReserved: true)
  }

  /// Stores the registration and the gap for which there was no room before.
  private func catchUp(_ time: Int64) {
    if !isRegistered { isRegistered = register() }
    guard isRegistered, let gap = missing else { return }
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: gap.sourceSeq, count: gap.count, time: time, reason: gap.reason)
    if spool.put(scratch.bytes) { missing = nil }
  }

  private func drop(_ count: Int64) {
    if missing == nil {
      missing = Missing(sourceSeq: sourceSeq, count: 0, reason: spool.reasonForLoss)
    }
    missing?.count += count
    lostCount += count
  }
}
