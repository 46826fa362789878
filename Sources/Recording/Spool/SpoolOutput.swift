import CSupport
import Glibc
import LogFormat
import TaskLogPlugin

/// The records of one source in one spool: its registration, its events, and the gap of those for
/// which there was no room.
struct SpoolOutput {
  private let spool: Spool
  private let number: Int
  private let slot: UnsafeMutablePointer<UInt64>?
  private var isRegistered = false
  /// A run of dropped events, from the first one until their gap is in the spool.
  private var missing: Missing?
  /// The number of events that were dropped for lack of room.
  private(set) var lostCount: Int64 = 0

  private struct Missing {
    var sourceSeq: Int64
    var count: Int64
    var reason: String
  }

  /// - Parameters:
  ///   - number: of the source within the spool.
  ///   - scratch: memory to encode records in.
  init(_ spool: Spool, number: Int, source: Source, _ scratch: inout MessagePackWriter) {
    self.spool = spool
    self.number = number
    slot = spool.slot(of: number)
    isRegistered = register(source, &scratch)
  }

  /// Whether the registration or a gap must be stored before the next event.
  var isBehind: Bool { !isRegistered || missing != nil }

  /// Stores the registration and the gap for which there was no room before.
  mutating func catchUp(_ source: Source, time: Int64, _ scratch: inout MessagePackWriter) {
    if !isRegistered { isRegistered = register(source, &scratch) }
    guard isRegistered, let gap = missing else { return }
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: gap.sourceSeq, count: gap.count, time: time, reason: gap.reason)
    if spool.put(scratch.bytes) { missing = nil }
  }

  /// Stores an encoded event, or counts it as missing.
  ///
  /// - Parameter waiter: if there is no room, wait for it as long as this is open, instead of
  ///   dropping the event.
  @inline(__always)
  mutating func store(
    _ event: UnsafeRawBufferPointer, sourceSeq: Int64, waitingWhile waiter: OpenFlag?
  ) {
    if missing != nil || !put(event, waiter) { drop(1, from: sourceSeq) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
  }

  /// Stores an encoded gap, or counts its events as missing.
  mutating func store(gap: UnsafeRawBufferPointer, of sourceSeqs: ClosedRange<Int64>) {
    if missing != nil || !spool.put(gap) {
      drop(Int64(sourceSeqs.count), from: sourceSeqs.lowerBound)
    }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeqs.upperBound)) }
  }

  /// Stores an encoded event, in parts if it is too long for one record.
  private func put(_ encoded: UnsafeRawBufferPointer, _ waiter: OpenFlag?) -> Bool {
    let maximum = SpoolLayout.maximumContent(segmentSize: spool.segmentSize)
    guard encoded.count > maximum else { return storeBlocking(encoded, waiter) }
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
      guard storeBlocking(part.bytes, waiter) else { return false }
    }
    return true
  }

  private func storeBlocking(_ bytes: UnsafeRawBufferPointer, _ waiter: OpenFlag?) -> Bool {
    while !spool.put(bytes) {
      guard let waiter, waiter.value else { return false }
      usleep(500)
    }
    return true
  }

  private func register(_ source: Source, _ scratch: inout MessagePackWriter) -> Bool {
    scratch.removeAll()
    scratch.write(source: source, number: number)
    return spool.put(scratch.bytes, isReserved: true)
  }

  private mutating func drop(_ count: Int64, from sourceSeq: Int64) {
    if missing == nil {
      missing = Missing(sourceSeq: sourceSeq, count: 0, reason: spool.reasonForLoss)
    }
    missing?.count += count
    lostCount += count
  }
}
