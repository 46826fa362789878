import CSupport
import Glibc
import LogFormat
import Synchronization

/// The producers' side of the spool: any number of threads store records.
///
/// See `SpoolLayout.swift` for the layout and why nothing is lost.
///
/// `@unchecked` because of `ring`: it never moves, and its words are read and written atomically.
final class Spool: @unchecked Sendable {
  /// The maximum number of segments at a time; a segment's index in the ring is its number modulo
  /// this.
  private static let ringSize = 8192
  /// The maximum number of segments kept for reuse.
  private static let maximumSpareCount = 4
  /// Segments beyond the limit, for records that identify sources: without such a record, the lost
  /// events of a killed process could not be attributed to a source.
  private static let reservedSegments = 8

  let segmentSize: Int
  private let maximumSegments: Int

  /// The segment and the offset in it where the next record goes; the segment is in the high half.
  private let cursor: Atomic<UInt64>
  /// The address of each mapped segment; 0 if there is none.
  private let ring: UnsafeMutablePointer<UInt64>

  private struct Segments: @unchecked Sendable {
    // Accessed only under the lock that holds this.
    var folder: String
    var mappings: [UInt32: Mapping] = [:]
    var lastCreated: UInt32 = 0
    /// Segments that are no longer needed, kept for reuse: their files are `spare.N`.
    var spare: [(name: String, mapping: Mapping)] = []
    var reasonForLoss = "spool limit reached"
    /// Words of the header: the identities of the log, and of the next one.
    var log: UInt64 = 0
    var nextLog: UInt64 = 0
  }

  private let segments: Mutex<Segments>
  /// Created as sources need them.
  private let controls = Mutex<[ControlFile]>([])
  /// The number of segments to prepare ahead, and the segment that producers had reached the last
  /// time.
  private let ahead = Mutex<(count: UInt32, seen: UInt32)>((2, 1))

  /// - Parameters:
  ///   - limit: the maximum size of all segments, in bytes.
  /// - Throws: `SpoolError`.
  init(folder: String, segmentSize: Int, limit: Int) throws {
    segments = Mutex(Segments(folder: folder))
    self.segmentSize = segmentSize
    maximumSegments = min(Self.ringSize / 2, max(2, limit / segmentSize))
    ring = .allocate(capacity: Self.ringSize)
    ring.initialize(repeating: 0, count: Self.ringSize)
    cursor = Atomic(UInt64(1) << 32 | UInt64(SpoolLayout.headerSize))
    let control = try ControlFile(creating: Self.control(folder, 0))
    controls.withLock { $0 = [control] }
    try segments.withLock { try make(&$0) }
  }

  deinit {
    segments.withLock { segments in
      for mapping in segments.mappings.values { mapping.unmap() }
      for spare in segments.spare { spare.mapping.unmap() }
    }
    ring.deallocate()
  }

  /// The folder of its files.
  var folder: String { segments.withLock { $0.folder } }

  /// The size of its segments, and at which size records are refused, in bytes.
  var bytes: Int { segments.withLock { ($0.mappings.count + $0.spare.count) * segmentSize } }
  var limit: Int { maximumSegments * segmentSize }

  /// Moves all files to another folder of the same file system while producers continue.
  ///
  /// - Parameter rename: moves the folder and returns its new path.
  func move(_ rename: () throws -> String) throws {
    // No file of either kind is created meanwhile.
    try controls.withLock { _ in
      try segments.withLock { $0.folder = try rename() }
    }
  }

  // MARK: - The log

  /// Says in all files that the spool is about to continue next to another log: until `belong(to:)`
  /// it belongs to both.
  func announce(log: UInt64) {
    store { $0.nextLog = log }
  }

  /// Says in all files to which log the spool belongs.
  ///
  /// - Parameter seq: the last one that is in this log.
  func belong(to log: UInt64, committed seq: Int64) {
    // Not after: that of another log is too high for this one.
    note(committed: seq)
    store { ($0.log, $0.nextLog) = (log, log) }
  }

  /// Says how far its log has come, for the case that the log has less some day.
  func note(committed seq: Int64) {
    controls.withLock {
      $0.first?.store(UInt64(bitPattern: seq), at: SpoolHeader.Offset.committed)
    }
  }

  private func store(_ change: (inout Segments) -> Void) {
    // In the order of `move`.
    controls.withLock { controls in
      segments.withLock { segments in
        change(&segments)
        for control in controls {
          control.store(segments.log, at: SpoolHeader.Offset.log)
          control.store(segments.nextLog, at: SpoolHeader.Offset.nextLog)
        }
        for mapping in segments.mappings.values { Self.store(segments, in: mapping) }
      }
    }
  }

  private static func store(_ segments: Segments, in mapping: Mapping) {
    tl_store_release(mapping.word(at: SpoolHeader.Offset.log), segments.log)
    tl_store_release(mapping.word(at: SpoolHeader.Offset.nextLog), segments.nextLog)
  }

  // MARK: - Producers

  /// Stores a record; false if there is no room for it. A record that is too long for a segment
  /// never fits.
  ///
  /// - Parameter isReserved: whether it may use segments beyond the limit.
  func put(_ content: UnsafeRawBufferPointer, isReserved: Bool = false) -> Bool {
    guard let start = content.baseAddress,
      content.count <= SpoolLayout.maximumContent(segmentSize: segmentSize)
    else { return false }
    let size = SpoolLayout.size(ofContent: content.count)
    while true {
      let seen = cursor.load(ordering: .acquiring)
      let segment = UInt32(truncatingIfNeeded: seen >> 32)
      let offset = Int(seen & 0xFFFF_FFFF)
      if offset + size <= segmentSize {
        guard
          cursor.compareExchange(
            expected: seen, desired: seen + UInt64(size), ordering: .acquiringAndReleasing
          ).exchanged
        else { continue }
        store(start, content.count, segment, offset)
        return true
      }
      guard address(of: segment &+ 1) != 0 || makeNext(after: segment, isReserved: isReserved)
      else { return false }
      let next = UInt64(segment &+ 1) << 32 | UInt64(SpoolLayout.headerSize)
      if cursor.compareExchange(
        expected: seen, desired: next, ordering: .acquiringAndReleasing
      ).exchanged {
        end(segment, at: offset)
      }
    }
  }

  @inline(__always)
  private func address(of segment: UInt32) -> UInt64 {
    tl_load_acquire(ring + Int(segment) % Self.ringSize)
  }

  @inline(__always)
  private func store(_ content: UnsafeRawPointer, _ count: Int, _ segment: UInt32, _ offset: Int) {
    // A segment is unmapped only after every record in it has been read, this one included.
    guard let base = UnsafeMutableRawPointer(bitPattern: UInt(address(of: segment))) else { return }
    (base + offset + 8).copyMemory(from: content, byteCount: count)
    let word = SpoolLayout.word(content, count, segment: segment, offset: offset)
    tl_store_release((base + offset).assumingMemoryBound(to: UInt64.self), word)
  }

  /// Marks the end of the segment.
  private func end(_ segment: UInt32, at offset: Int) {
    guard offset + 8 <= segmentSize,
      let base = UnsafeMutableRawPointer(bitPattern: UInt(address(of: segment)))
    else { return }
    tl_store_release((base + offset).assumingMemoryBound(to: UInt64.self), SpoolLayout.endMark)
  }

  /// The draining thread was too late: the caller creates the next segment itself.
  private func makeNext(after segment: UInt32, isReserved: Bool) -> Bool {
    segments.withLock { segments in
      if segments.lastCreated > segment { return true }
      let reserve = isReserved ? Self.reservedSegments : 0
      return (try? make(&segments, beyondLimit: reserve)) != nil
    }
  }

  /// Why there was no room the last time a record did not fit.
  var reasonForLoss: String { segments.withLock { $0.reasonForLoss } }

  /// The path of a control file: the first is `control`, the others have a number.
  static func control(_ folder: String, _ index: Int) -> String {
    folder + "/" + SpoolHeader.control + (index == 0 ? "" : ".\(index)")
  }

  /// Where a source stores its progress; `nil` if the disk has no room for the control file.
  func slot(of source: Int) -> UnsafeMutablePointer<UInt64>? {
    controls.withLock { controls in
      let fileIndex = source / SpoolLayout.slotsInControl
      while controls.count <= fileIndex {
        let path = Self.control(folder, controls.count)
        guard let control = try? ControlFile(creating: path) else { return nil }
        controls.append(control)
      }
      return controls[fileIndex].slot(source % SpoolLayout.slotsInControl)
    }
  }

  /// The last source_seq of each source that has recorded anything, in the order of the sources.
  var lastSourceSeqs: [(source: Int, last: Int64)] {
    controls.withLock { ControlFile.lastSourceSeqs($0) }
  }

  // MARK: - The drainer's side

  /// Prepares segments ahead of the producers, so that they do not wait for the disk: twice as many
  /// as they have filled since the last call, which may have been a slow commit ago.
  func prepare() {
    let current = UInt32(truncatingIfNeeded: cursor.load(ordering: .relaxed) >> 32)
    let readyCount = ahead.withLock { ahead in
      let filled = current &- ahead.seen
      ahead = (max(2, min(32, max(filled * 2 + 1, ahead.count - 1))), current)
      return ahead.count
    }
    segments.withLock { segments in
      while segments.lastCreated < current &+ readyCount {
        guard (try? make(&segments)) != nil else { return }
      }
    }
  }

  private func make(_ segments: inout Segments, beyondLimit reserve: Int = 0) throws(SpoolError) {
    let number = segments.lastCreated + 1
    let path = "\(segments.folder)/\(number)"
    guard segments.mappings.count < maximumSegments + reserve else {
      segments.reasonForLoss = "spool limit reached"
      throw SpoolError(path, ENOBUFS)
    }
    do throws(SpoolError) {
      let mapping: Mapping
      if let spare = reused(&segments, as: path) {
        mapping = spare
      } else {
        mapping = try makeMapping(path, in: segments.folder)
      }
      tl_store_relaxed(mapping.word(at: 8), UInt64(number))
      tl_store_relaxed(mapping.word(at: 16), UInt64(segmentSize))
      Self.store(segments, in: mapping)
      tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
      segments.mappings[number] = mapping
      segments.lastCreated = number
      let address = UInt64(UInt(bitPattern: mapping.base))
      tl_store_release(ring + Int(number) % Self.ringSize, address)
    } catch {
      segments.reasonForLoss = "\(error)"
      throw error
    }
  }

  /// A segment that is no longer needed, reused as a fresh one: its pages exist already, so the
  /// kernel need not allocate them. It gets its name only once it is all zeros.
  private func reused(_ segments: inout Segments, as path: String) -> Mapping? {
    while let spare = segments.spare.popLast() {
      memset(spare.mapping.base, 0, spare.mapping.size)
      if rename("\(segments.folder)/\(spare.name)", path) == 0 { return spare.mapping }
      // The file was removed by another process.
      spare.mapping.unmap()
    }
    return nil
  }

  /// Keeps a segment for reuse if there are few of those; false if it is to be removed.
  private func keep(_ number: UInt32, _ mapping: Mapping, _ segments: inout Segments) -> Bool {
    guard segments.spare.count < Self.maximumSpareCount,
      segments.mappings.count + segments.spare.count < maximumSegments
    else { return false }
    let name = "spare.\(number)"
    let folder = segments.folder
    guard rename("\(folder)/\(number)", "\(folder)/\(name)") == 0 else { return false }
    segments.spare.append((name, mapping))
    return true
  }

  private func makeMapping(_ path: String, in folder: String) throws(SpoolError) -> Mapping {
    do throws(SpoolError) {
      return try Mapping.create(path, size: segmentSize)
    } catch  where error.code == ENOENT {
      // The folder was removed by another process.
      mkdir(folder.parentFolder, 0o700)
      mkdir(folder, 0o700)
      return try Mapping.create(path, size: segmentSize)
    }
  }

  /// The mapping of a segment; `nil` if it does not exist yet or any more.
  func mapping(of segment: UInt32) -> Mapping? {
    segments.withLock { $0.mappings[segment] }
  }

  /// Where the next record goes: all space before it has been reserved by a producer.
  var end: SpoolPosition {
    SpoolPosition(word: cursor.load(ordering: .acquiring))
  }

  /// Removes the segments before a position, all of whose records have been read. A segment with a
  /// record that a producer never finished stays mapped, because the producer may still wake up and
  /// write.
  func remove(before position: SpoolPosition, keepMapped: Set<UInt32>) {
    segments.withLock { segments in
      for (number, mapping) in segments.mappings where number < position.segment {
        guard !keepMapped.contains(number) else {
          unlink("\(segments.folder)/\(number)")
          continue
        }
        tl_store_release(ring + Int(number) % Self.ringSize, 0)
        segments.mappings[number] = nil
        if keep(number, mapping, &segments) { continue }
        unlink("\(segments.folder)/\(number)")
        mapping.unmap()
      }
    }
  }

  /// Removes every file; nothing may be stored any more.
  func removeAll() {
    segments.withLock { segments in
      for number in segments.mappings.keys { unlink("\(segments.folder)/\(number)") }
      for spare in segments.spare { unlink("\(segments.folder)/\(spare.name)") }
    }
    controls.withLock { controls in
      let folder = folder
      for number in controls.indices { unlink(Self.control(folder, number)) }
    }
  }
}

/// A position in the spool.
struct SpoolPosition: Comparable, Hashable {
  var segment: UInt32
  var offset: Int

  static let start = SpoolPosition(segment: 1, offset: SpoolLayout.headerSize)

  init(segment: UInt32, offset: Int) {
    self.segment = segment
    self.offset = offset
  }

  /// From a single word: the segment in the high half.
  init(word: UInt64) {
    segment = UInt32(truncatingIfNeeded: word >> 32)
    offset = Int(word & 0xFFFF_FFFF)
  }

  var word: UInt64 { UInt64(segment) << 32 | UInt64(offset) }

  /// The approximate number of bytes between this and a later position.
  func distance(to other: SpoolPosition, segmentSize: Int) -> Int {
    Int(other.segment &- segment) * segmentSize + other.offset - offset
  }

  static func < (a: SpoolPosition, b: SpoolPosition) -> Bool { a.word < b.word }
}
