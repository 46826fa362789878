import CSupport
import Glibc
import LogFormat

// The spool: where events are from the moment their hook returns until they are in the log.
//
// Layout. A recorder has its own folder next to the log, `LOG.spool/RUN-ID/`:
//
//     lock        held by the recorder while it lives (flock)
//     control     64 bytes for each source: the source_seq of its last event whose hook has
//     returned
//     control.1…  the same for the sources from 4,096 on
//     1, 2, 3, …  segments, all of one size, mapped into memory
//     spare.N     a drained segment, kept for reuse
//     closed      when the run was closed, if that could not be written to the log in time
//
// A segment is a header of 64 bytes (magic, version, its number, its size, its log: `SpoolHeader`)
// and then records, each at a multiple of 8: a word, and the content (`SpoolRecord`, MessagePack) padded with zeros. The
// word is the length of the content in its low half and a CRC-32C in its high half, over the
// content, the segment's number and the record's offset. Fresh segments are all zeros. The word
// 0xFFFF_FFFF in the low half marks the end of the segment.
//
// Writing. A producer reserves space by one compare-and-swap on the cursor (segment, offset),
// copies the content, and stores the word last, with release order. It waits for no other producer.
// The producer that finds the segment full moves the cursor to the next one, which has been
// prepared: allocated on the disk (`posix_fallocate`: a full disk is an error here and not a SIGBUS
// later) and faulted in; or a spare one, filled with zeros before it gets its name.
//
// The crash argument. The pages belong to the kernel: what was stored survives the death of the
// process by any signal. A record counts if its word is not zero and its CRC matches. The word is
// stored after the content, so a torn record has no word. A hook returns after its word is stored,
// so every event whose hook returned counts. A hole (a producer that died, or sleeps, between
// reserving space and storing the word) has word 0: the reader waits for it while the process
// lives, and otherwise searches for the next offset with a word and a matching CRC; the CRC covers
// the offset, so content that looks like a record is not mistaken for one. Every event has the
// source_seq of its source, so a missing event shows as a hole in these numbers and is written to
// the log as a gap, and at the end of a source the control file has its last source_seq. The
// position up to which the spool has been drained is committed in the transaction with the rows: no
// record is written to the log twice, none is skipped. Segments are removed after the commit that
// drained them has been synced. After a power failure the spool or the log may be behind: what is
// missing in between shows as a hole and becomes a gap.
enum SpoolLayout {
  static let magic = SpoolHeader.magic
  static let headerSize = SpoolHeader.size
  static let slotSize = 64
  static let slotsInControl = 4096
  static let endMark: UInt64 = 0xFFFF_FFFF
  /// The maximum length of a record's content; a longer one does not fit a segment.
  static func maximumContent(segmentSize: Int) -> Int { segmentSize - headerSize - 16 }

  /// The size of a record.
  @inline(__always)
  static func size(ofContent count: Int) -> Int { (8 + count + 7) & ~7 }

  @inline(__always)
  static func word(
    _ content: UnsafeRawPointer, _ count: Int, segment: UInt32, offset: Int
  ) -> UInt64 {
    let seed = segment &* 0x9E37_79B1 ^ UInt32(truncatingIfNeeded: offset)
    let crc = tl_crc32c(seed, content, count)
    return UInt64(crc) << 32 | UInt64(UInt32(truncatingIfNeeded: count))
  }
}

/// A file that is mapped into memory, shared with other processes that map it.
///
/// Invariant: `base` points at `size` bytes until `unmap`.
struct Mapping {
  let base: UnsafeMutableRawPointer
  let size: Int

  /// Creates a file of zeros that is fully allocated on the disk, and maps it.
  ///
  /// - Throws: `SpoolError`.
  static func create(_ path: String, size: Int) throws(SpoolError) -> Mapping {
    let descriptor = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SpoolError(path, errno) }
    defer { close(descriptor) }
    let code = posix_fallocate(descriptor, 0, off_t(size))
    guard code == 0 else {
      unlink(path)
      throw SpoolError(path, code)
    }
    do throws(SpoolError) {
      let mapping = try map(descriptor, path, size)
      mapping.populate()
      return mapping
    } catch {
      unlink(path)
      throw error
    }
  }

  /// Maps an existing file; `nil` if it is shorter than a header.
  ///
  /// - Throws: `SpoolError`.
  static func existing(_ path: String) throws(SpoolError) -> Mapping? {
    let descriptor = RegularFile.open(path, O_RDWR | O_NOFOLLOW)
    guard descriptor >= 0 else { throw SpoolError(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw SpoolError(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw SpoolError(path, EINVAL) }
    let size = Int(status.st_size)
    guard size >= SpoolLayout.headerSize else { return nil }
    return try map(descriptor, path, size)
  }

  private static func map(
    _ descriptor: Int32, _ path: String, _ size: Int
  ) throws(SpoolError) -> Mapping {
    let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let base, base != MAP_FAILED else { throw SpoolError(path, errno) }
    return Mapping(base: base, size: size)
  }

  /// Faults every page in, so that the first store to it does not wait.
  private func populate() {
    // MADV_POPULATE_WRITE, since Linux 5.14; an older kernel refuses it, and pages are faulted in
    // singly.
    madvise(base, size, 23)
  }

  func unmap() {
    munmap(base, size)
  }

  @inline(__always)
  func word(at offset: Int) -> UnsafeMutablePointer<UInt64> {
    (base + offset).assumingMemoryBound(to: UInt64.self)
  }
}

/// A system error about a file of the spool.
struct SpoolError: Error, CustomStringConvertible {
  var path: String
  var code: Int32

  init(_ path: String, _ code: Int32) {
    self.path = path
    self.code = code
  }

  var isFull: Bool { code == ENOSPC || code == EDQUOT }

  var description: String { "\(path): \(String(cString: strerror(code)))" }
}
