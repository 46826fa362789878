import CSupport
import Glibc
import Synchronization

/// The producers' side of the spool: any number of threads put records in.
///
/// See `SpoolLayout.swift` for the layout and why nothing is lost.
///
/// `ring` is what the compiler cannot check: it never moves, and its words are read and written
/// atomically.
final class Spool: @unchecked Sendable {
  /// Segments that can exist at a time; a segment's place in the ring is its number modulo this.
  private static let ringSize = 8192

  let folder: String
  let segmentSize: Int
  private let maximumSegments: Int

  /// The segment and the offset in it where the next record goes: number in the high half.
  private let cursor: Atomic<UInt64>
  /// Where each segment is mapped, as a number; 0 where there is none.
  private let ring: UnsafeMutablePointer<UInt64>

  private struct Segments: @unchecked Sendable {
    // Only touched under the lock that holds this.
    var mappings: [UInt32: Mapping] = [:]
    var lastMade: UInt32 = 0
    var lastProblem: SpoolError?
  }

  private let segments = Mutex(Segments())
  private let controlMapping: ControlFile

  /// - Parameters:
  ///   - limit: at most so many bytes of segments at a time.
  /// - Throws: `SpoolError`.
  init(folder: String, segmentSize: Int, limit: Int) throws {
    self.folder = folder
    self.segmentSize = segmentSize
    maximumSegments = min(Self.ringSize / 2, max(2, limit / segmentSize))
    ring = .allocate(capacity: Self.ringSize)
    ring.initialize(repeating: 0, count: Self.ringSize)
    cursor = Atomic(UInt64(1) << 32 | UInt64(SpoolLayout.headerSize))
    controlMapping = try ControlFile(creating: folder + "/control")
    try segments.withLock { try make(&$0) }
  }

  deinit {
    segments.withLock { segments in
      for mapping in segments.mappings.values { mapping.unmap() }
    }
    ring.deallocate()
  }

  // MARK: - Producers

  /// Puts a record in; false when there is no room for it. What is too long for a segment never
  /// fits.
  func put(_ content: UnsafeRawBufferPointer) -> Bool {
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
      guard address(of: segment &+ 1) != 0 || makeNext(after: segment) else { return false }
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

  /// Says in the segment that it goes no further.
  private func end(_ segment: UInt32, at offset: Int) {
    guard offset + 8 <= segmentSize,
      let base = UnsafeMutableRawPointer(bitPattern: UInt(address(of: segment)))
    else { return }
    tl_store_release((base + offset).assumingMemoryBound(to: UInt64.self), SpoolLayout.endMark)
  }

  /// The thread that drains was too late: the caller makes the next segment itself.
  private func makeNext(after segment: UInt32) -> Bool {
    segments.withLock { segments in
      if segments.lastMade > segment { return true }
      return (try? make(&segments)) != nil
    }
  }

  /// Why there was no room the last time, nothing when the limit was reached.
  var lastProblem: SpoolError? { segments.withLock { $0.lastProblem } }

  /// Where a source says how far it has come.
  func slot(of source: Int) -> UnsafeMutablePointer<UInt64>? {
    controlMapping.slot(source)
  }

  // MARK: - The drainer's side

  /// Makes segments ready ahead of the producers, so that they do not wait for the disk.
  func prepare(ahead count: UInt32 = 2) {
    let current = UInt32(truncatingIfNeeded: cursor.load(ordering: .relaxed) >> 32)
    segments.withLock { segments in
      while segments.lastMade < current &+ count {
        guard (try? make(&segments)) != nil else { return }
      }
    }
  }

  private func make(_ segments: inout Segments) throws(SpoolError) {
    let number = segments.lastMade + 1
    guard segments.mappings.count < maximumSegments else {
      segments.lastProblem = nil
      throw SpoolError("\(folder)/\(number)", ENOBUFS)
    }
    do throws(SpoolError) {
      let mapping = try Mapping.create("\(folder)/\(number)", size: segmentSize)
      mapping.populate()
      tl_store_relaxed(mapping.word(at: 8), UInt64(number))
      tl_store_relaxed(mapping.word(at: 16), UInt64(segmentSize))
      tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
      segments.mappings[number] = mapping
      segments.lastMade = number
      segments.lastProblem = nil
      let address = UInt64(UInt(bitPattern: mapping.base))
      tl_store_release(ring + Int(number) % Self.ringSize, address)
    } catch {
      segments.lastProblem = error
      throw error
    }
  }

  /// Where a segment is mapped; nothing when it has not been made or is gone.
  func mapping(of segment: UInt32) -> Mapping? {
    segments.withLock { $0.mappings[segment] }
  }

  /// Where the next record goes: everything before it has been taken by someone.
  var end: SpoolPosition {
    SpoolPosition(word: cursor.load(ordering: .acquiring))
  }

  /// Removes the segments before a position, all of whose records have been read. One in which a
  /// producer never finished stays mapped, because it may still wake up and write.
  func remove(before position: SpoolPosition, keepMapped: Set<UInt32>) {
    segments.withLock { segments in
      for (number, mapping) in segments.mappings where number < position.segment {
        unlink("\(folder)/\(number)")
        if keepMapped.contains(number) { continue }
        tl_store_release(ring + Int(number) % Self.ringSize, 0)
        segments.mappings[number] = nil
        mapping.unmap()
      }
    }
  }

  /// Removes every file; nothing may be put in any more.
  func removeAll() {
    segments.withLock { segments in
      for number in segments.mappings.keys { unlink("\(folder)/\(number)") }
    }
    unlink(folder + "/control")
  }
}

/// A place in the spool.
struct SpoolPosition: Comparable, Hashable {
  var segment: UInt32
  var offset: Int

  static let start = SpoolPosition(segment: 1, offset: SpoolLayout.headerSize)

  init(segment: UInt32, offset: Int) {
    self.segment = segment
    self.offset = offset
  }

  /// As one number: the segment in the high half.
  init(word: UInt64) {
    segment = UInt32(truncatingIfNeeded: word >> 32)
    offset = Int(word & 0xFFFF_FFFF)
  }

  var word: UInt64 { UInt64(segment) << 32 | UInt64(offset) }

  static func < (a: SpoolPosition, b: SpoolPosition) -> Bool { a.word < b.word }
}

/// How far each source has come: the number of its last event whose hook has returned.
final class ControlFile: @unchecked Sendable {
  // The mapping never changes; its words are written atomically, each by one source.
  private let mapping: Mapping

  /// - Throws: `SpoolError`.
  init(creating path: String) throws(SpoolError) {
    let size = SpoolLayout.headerSize + SpoolLayout.slotSize * SpoolLayout.slotsInControl
    mapping = try Mapping.create(path, size: size)
    mapping.populate()
    tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
  }

  /// One that a dead recorder has left; nothing when it is damaged.
  init?(existing path: String) {
    guard let mapping = try? Mapping.existing(path) else { return nil }
    guard mapping.word(at: 0).pointee == SpoolLayout.magic else {
      mapping.unmap()
      return nil
    }
    self.mapping = mapping
  }

  deinit {
    mapping.unmap()
  }

  /// The word of a source; nothing for one beyond those that there is room for.
  func slot(_ source: Int) -> UnsafeMutablePointer<UInt64>? {
    let offset = SpoolLayout.headerSize + source * SpoolLayout.slotSize
    guard source >= 0, offset + 8 <= mapping.size else { return nil }
    return mapping.word(at: offset)
  }
}
