import CSupport
import Glibc
import LogFormat
import TaskLogPlugin

/// The way of one source's events into the spool: numbers them, encodes them into memory of its own,
/// and copies them over.
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
  /// Takes in the same, for another spool.
  private let second: SpoolChannel?
  private let generation = tl_generation()

  // One thread at a time: the checks for exclusive access would only cost time.
  @exclusivity(unchecked) private var scratch = MessagePackWriter()
  @exclusivity(unchecked) private(set) var sourceSeq: Int64 = 0
  @exclusivity(unchecked) private var isRegistered = false
  /// Events that found no room, from the first of them on, until that has been put into the spool.
  @exclusivity(unchecked) private var missing: Missing?

  private struct Missing {
    var sourceSeq: Int64
    var count: Int64
    var reason: String
  }

  /// - Parameters:
  ///   - waits: when there is no room, waits for it rather than dropping the event.
  ///   - limits: what is not to be kept.
  ///   - isOpen: whether the recorder still takes events in.
  ///   - second: takes in the same under the same numbers; it is called by nobody else.
  init(
    number: Int, source: Source, spool: Spool, waits: Bool, limits: SourceLimits?, isOpen: OpenFlag,
    second: SpoolChannel? = nil
  ) {
    self.second = second
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
    // In the child of a fork the spool is still the parent's.
    guard generation == tl_generation(), isOpen.value else { return ForkGuard.reportOnce() }
    if let limits {
      let isAdmitted = limits.admits(event)
      if let mark = limits.dueMark() { take(mark) }
      guard isAdmitted else { return }
    }
    take(event)
  }

  @inline(__always)
  private func take(_ event: borrowing Event) {
    sourceSeq += 1
    if !isRegistered || missing != nil { catchUp(event.time) }
    encode(event)
    if missing != nil || !put(scratch.bytes) { lose(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    second?.take(scratch.bytes, sourceSeq: sourceSeq, time: event.time)
  }

  /// Takes in what another channel has encoded and given its number.
  private func take(
    _ encoded: UnsafeRawBufferPointer, sourceSeq: Int64, time: @autoclosure () -> Int64
  ) {
    self.sourceSeq = sourceSeq
    if !isRegistered || missing != nil { catchUp(time()) }
    if missing != nil || !put(encoded) { lose(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
  }

  /// Takes in an event whose fields, from the time on, are encoded already; see `SpoolRecord`.
  ///
  /// - Parameters:
  ///   - given: its number, where the source numbers its events itself.
  ///   - time: for the gaps.
  /// - Returns: the number of the last event that has been taken in or counted as missing; nothing
  ///   when the recorder takes nothing in any more.
  func record(
    encoded fields: UnsafeRawBufferPointer, sourceSeq given: Int64? = nil,
    time: @autoclosure () -> Int64
  ) -> Int64? {
    guard generation == tl_generation(), isOpen.value else { return nil }
    if let given {
      // What the source sends once more is in the spool already.
      guard given > sourceSeq, given < 1 << 48 else { return sourceSeq }
      // A source that numbers its events has left out itself what was not wanted.
      if given > sourceSeq + 1 { recordGap(given - sourceSeq - 1, "lost on the way", time: time()) }
    } else if let limits {
      let isAdmitted = limits.admits(encoded: fields)
      if let mark = limits.dueMark() { take(mark) }
      // It is taken care of: to those who count from 1, nothing would be a refusal.
      guard isAdmitted else { return max(1, sourceSeq) }
    }
    sourceSeq += 1
    if !isRegistered || missing != nil { catchUp(time()) }
    scratch.removeAll()
    scratch.writeEvent(encoded: fields, number: number, sourceSeq: sourceSeq)
    limits?.capEncoded(fields, number: number, sourceSeq: sourceSeq, in: &scratch)
    if missing != nil || !put(scratch.bytes) { lose(1) }
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    second?.take(scratch.bytes, sourceSeq: sourceSeq, time: time())
    return sourceSeq
  }

  /// Notes that so many events from here on are missing, and why.
  func recordGap(_ count: Int64, _ reason: String, time: Int64) {
    guard generation == tl_generation(), isOpen.value, count > 0, count < 1 << 48 else { return }
    if !isRegistered || missing != nil { catchUp(time) }
    sourceSeq += 1
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: sourceSeq, count: count, time: time, reason: reason)
    if missing != nil || !spool.put(scratch.bytes) { lose(count) }
    sourceSeq += count - 1
    if let slot { tl_store_release(slot, UInt64(bitPattern: sourceSeq)) }
    second?.recordGap(count, reason, time: time)
  }

  /// What a filter has left out and nothing has noted yet; for when the source is done.
  var exclusions: Exclusions? { limits?.exclusions }

  /// Whether events are taken in.
  var isTaking: Bool { generation == tl_generation() && isOpen.value }

  /// How many events there has been no room for.
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

  /// Puts what has been encoded into the spool, in parts where it is too long for one record.
  private func put(_ encoded: UnsafeRawBufferPointer) -> Bool {
    let longest = SpoolLayout.maximumContent(segmentSize: spool.segmentSize)
    guard encoded.count > longest else { return storeBlocking(encoded) }
    // What is around the bytes of a part takes up less than this.
    let size = longest - 64
    let count = (encoded.count + size - 1) / size
    var part = MessagePackWriter(capacity: longest)
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

  /// Puts in what could not be put in before.
  private func catchUp(_ time: Int64) {
    if !isRegistered { isRegistered = register() }
    guard isRegistered, let gap = missing else { return }
    scratch.removeAll()
    scratch.writeGap(
      number: number, sourceSeq: gap.sourceSeq, count: gap.count, time: time, reason: gap.reason)
    if spool.put(scratch.bytes) { missing = nil }
  }

  private func lose(_ count: Int64) {
    if missing == nil {
      missing = Missing(sourceSeq: sourceSeq, count: 0, reason: spool.reasonForLoss)
    }
    missing?.count += count
    lostCount += count
  }
}
