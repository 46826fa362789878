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
  /// So many segments are kept for later.
  private static let mostSpare = 4
  /// Segments beyond the limit, for records that say whose events follow: without one, a process that
  /// is killed leaves a loss that nobody can be named for.
  private static let reservedSegments = 8

  let segmentSize: Int
  private let maximumSegments: Int

  /// The segment and the offset in it where the next record goes: number in the high half.
  private let cursor: Atomic<UInt64>
  /// Where each segment is mapped, as a number; 0 where there is none.
  private let ring: UnsafeMutablePointer<UInt64>

  private struct Segments: @unchecked Sendable {
    // Only touched under the lock that holds this.
    var folder: String
    var mappings: [UInt32: Mapping] = [:]
    var lastMade: UInt32 = 0
    /// Segments that are not needed any more, to be used again: their files are `spare.N`.
    var spare: [(name: String, mapping: Mapping)] = []
    var reasonForLoss = "spool limit reached"
  }

  private let segments: Mutex<Segments>
  /// Made as there are sources for them.
  private let controls = Mutex<[ControlFile]>([])
  /// How many segments are made ready ahead, and up to which the producers had come the last time.
  private let ahead = Mutex<(count: UInt32, seen: UInt32)>((2, 1))

  /// - Parameters:
  ///   - limit: at most so many bytes of segments at a time.
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

  /// Where its files lie.
  var folder: String { segments.withLock { $0.folder } }

  /// Moves all files to another folder of the same file system, while producers go on.
  ///
  /// - Parameter rename: does it, and gives the new folder.
  func move(_ rename: () throws -> String) throws {
    // Nobody makes a file meanwhile, of either kind.
    try controls.withLock { _ in
      try segments.withLock { $0.folder = try rename() }
    }
  }

  // MARK: - Producers

  /// Puts a record in; false when there is no room for it. What is too long for a segment never
  /// fits.
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

  /// Says in the segment that it goes no further.
  private func end(_ segment: UInt32, at offset: Int) {
    guard offset + 8 <= segmentSize,
      let base = UnsafeMutableRawPointer(bitPattern: UInt(address(of: segment)))
    else { return }
    tl_store_release((base + offset).assumingMemoryBound(to: UInt64.self), SpoolLayout.endMark)
  }

  /// The thread that drains was too late: the caller makes the next segment itself.
  private func makeNext(after segment: UInt32, isReserved: Bool) -> Bool {
    segments.withLock { segments in
      if segments.lastMade > segment { return true }
      let reserve = isReserved ? Self.reservedSegments : 0
      return (try? make(&segments, beyondLimit: reserve)) != nil
    }
  }

  /// Why there was no room the last time that there was none.
  var reasonForLoss: String { segments.withLock { $0.reasonForLoss } }

  /// The name of a control file: the first is `control`, the others have a number.
  static func control(_ folder: String, _ number: Int) -> String {
    folder + "/control" + (number == 0 ? "" : ".\(number)")
  }

  /// Where a source says how far it has come; nothing when the disk has no room for that.
  func slot(of source: Int) -> UnsafeMutablePointer<UInt64>? {
    controls.withLock { controls in
      let number = source / SpoolLayout.slotsInControl
      while controls.count <= number {
        let path = Self.control(folder, controls.count)
        guard let control = try? ControlFile(creating: path) else { return nil }
        controls.append(control)
      }
      return controls[number].slot(source % SpoolLayout.slotsInControl)
    }
  }

  /// How far each source has come that has sent anything, in their order.
  var lastSourceSeqs: [(source: Int, last: Int64)] {
    controls.withLock { ControlFile.lastSourceSeqs($0) }
  }

  // MARK: - The drainer's side

  /// Makes segments ready ahead of the producers, so that they do not wait for the disk: twice as
  /// many as they have filled since the last time, which may have been a slow commit ago.
  func prepare() {
    let current = UInt32(truncatingIfNeeded: cursor.load(ordering: .relaxed) >> 32)
    let wanted = ahead.withLock { ahead in
      let filled = current &- ahead.seen
      ahead = (max(2, min(32, max(filled * 2 + 1, ahead.count - 1))), current)
      return ahead.count
    }
    segments.withLock { segments in
      while segments.lastMade < current &+ wanted {
        guard (try? make(&segments)) != nil else { return }
      }
    }
  }

  private func make(_ segments: inout Segments, beyondLimit reserve: Int = 0) throws(SpoolError) {
    let number = segments.lastMade + 1
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
      tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
      segments.mappings[number] = mapping
      segments.lastMade = number
      let address = UInt64(UInt(bitPattern: mapping.base))
      tl_store_release(ring + Int(number) % Self.ringSize, address)
    } catch {
      segments.reasonForLoss = "\(error)"
      throw error
    }
  }

  /// A segment that is not needed any more, as a fresh one: its pages are there already, and need not
  /// be made by the kernel. It gets its name only when it is all zeros.
  private func reused(_ segments: inout Segments, as path: String) -> Mapping? {
    while let spare = segments.spare.popLast() {
      memset(spare.mapping.base, 0, spare.mapping.size)
      if rename("\(segments.folder)/\(spare.name)", path) == 0 { return spare.mapping }
      // Somebody has removed it.
      spare.mapping.unmap()
    }
    return nil
  }

  /// Keeps a segment for later, when there are few of those; false when it is to go.
  private func keep(_ number: UInt32, _ mapping: Mapping, _ segments: inout Segments) -> Bool {
    guard segments.spare.count < Self.mostSpare,
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
      // Somebody has removed the folder.
      mkdir(parent(of: folder), 0o700)
      mkdir(folder, 0o700)
      return try Mapping.create(path, size: segmentSize)
    }
  }

  private func parent(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
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

  /// Removes every file; nothing may be put in any more.
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

  /// About so many bytes lie between this and a later position.
  func distance(to other: SpoolPosition, segmentSize: Int) -> Int {
    Int(other.segment &- segment) * segmentSize + other.offset - offset
  }

  static func < (a: SpoolPosition, b: SpoolPosition) -> Bool { a.word < b.word }
}
