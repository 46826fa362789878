import CSQLite
import Glibc
import LogFormat

/// The pages of a SQLite file as they are on disk, overlaid with the committed pages of its
/// write-ahead log: read without SQLite, which refuses inconsistent files.
///
/// The format: https://sqlite.org/fileformat2.html
package final class DatabaseImage {
  let pageSize: Int
  /// The number of bytes of a page that hold content:
  /// https://sqlite.org/fileformat2.html#the_database_header
  let usableSize: Int
  /// Pages are numbered from 1.
  let pageCount: Int
  private let descriptor: Int32
  private let wal: WriteAheadLog?

  /// - Throws: `LogError.unreadable` if the file cannot be opened.
  init(path: String) throws {
    // Opening a named pipe would wait for a writer.
    descriptor = tl_open_file_of_process(
      path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0)
    var status = stat()
    guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
      let reason = String(cString: strerror(errno))
      if descriptor >= 0 { tl_close_file_of_process(descriptor) }
      throw LogError.unreadable(path: path, reason: reason)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      tl_close_file_of_process(descriptor)
      throw LogError.unreadable(path: path, reason: "not a regular file")
    }
    let walPath = WALPolicy.wal(of: path)
    var walStatus = stat()
    if stat(walPath, &walStatus) == 0, walStatus.st_mode & S_IFMT != S_IFREG {
      tl_close_file_of_process(descriptor)
      throw LogError.unreadable(path: walPath, reason: "not a regular file")
    }
    let header = Self.read(descriptor, at: 0, count: 100)
    wal = WriteAheadLog(path: walPath)
    let named = header.count == 100 ? Int(header[16]) << 8 | Int(header[17]) : 0
    let size = named == 1 ? 65_536 : named
    let isPlausible = Self.sizes.contains(size)
    pageSize =
      wal?.pageSize ?? (isPlausible ? size : Self.guess(descriptor, Int(status.st_size)))
    let reserved = isPlausible ? Int(header[20]) : 0
    usableSize = pageSize - reserved >= 480 ? pageSize - reserved : pageSize
    // The last page may be truncated.
    let pagesInFile = (Int(status.st_size) + pageSize - 1) / pageSize
    // Pages after the end of the file are in the write-ahead log, whatever number it has for the last.
    pageCount = max(pagesInFile, min(wal?.lastPage ?? 0, pagesInFile + (wal?.pagesHeld ?? 0)))
  }

  private static let sizes = (9...16).map { 1 << $0 }

  /// The page size if the header is gone: the smallest one at whose multiples pages of b-trees
  /// begin as often as at those of any other.
  private static func guess(_ descriptor: Int32, _ length: Int) -> Int {
    let shares = sizes.map { size in
      let offsets = stride(from: size, to: min(length, 4_000 * size), by: size)
      let pages = offsets.count { fileOffset in
        let start = read(descriptor, at: fileOffset, count: 8)
        guard start.count == 8, BTreePage.Kind(rawValue: start[0]) != nil else { return false }
        // It has at least one cell, and the cells begin after the page's header.
        return (start[3] > 0 || start[4] > 0) && Int(start[5]) << 8 | Int(start[6]) >= 8
      }
      return Double(pages) / Double(max(1, (length - 1) / size))
    }
    let best = shares.max() ?? 0
    return zip(sizes, shares).first { $1 >= best * 0.8 }?.0 ?? 4096
  }

  deinit { tl_close_file_of_process(descriptor) }

  /// A page; zeroes where the file is truncated. `nil` if there is no such page.
  func page(_ number: Int) -> [UInt8]? {
    guard number >= 1, number <= pageCount else { return nil }
    if let page = wal?.page(number) { return page }
    var page = Self.read(descriptor, at: (number - 1) * pageSize, count: pageSize)
    guard !page.isEmpty else { return nil }
    page += [UInt8](repeating: 0, count: pageSize - page.count)
    return page
  }

  static func read(_ descriptor: Int32, at offset: Int, count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(
          descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, offset + filled)
        if got < 0, errno == EINTR { continue }
        guard got > 0 else { break }
        filled += got
      }
    }
  }
}

/// The committed pages of a write-ahead log: https://sqlite.org/fileformat2.html#walformat
final class WriteAheadLog {
  let pageSize: Int
  private(set) var lastPage = 0
  private let descriptor: Int32
  private var offsets: [Int: Int] = [:]
  var pagesHeld: Int { offsets.count }

  private static let headerSize = 32
  private static let frameHeaderSize = 24

  /// `nil` if there is no such file, or it is empty.
  init?(path: String) {
    let descriptor = RegularFile.open(path)
    guard descriptor >= 0 else { return nil }
    let header = DatabaseImage.read(descriptor, at: 0, count: Self.headerSize)
    let magic = Self.number(header, 0)
    let size = Int(Self.number(header, 8))
    guard header.count == Self.headerSize, magic & ~1 == 0x377F_0682, size >= 512,
      size <= 65_536, size & (size - 1) == 0
    else {
      close(descriptor)
      return nil
    }
    self.descriptor = descriptor
    pageSize = size
    readFrames(header, isBigEndian: magic & 1 == 1)
  }

  deinit { close(descriptor) }

  /// Whether a file has a header, but not one of a write-ahead log: SQLite ignores it then.
  static func hasDamagedHeader(_ path: String) -> Bool {
    let descriptor = RegularFile.open(path)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    let header = DatabaseImage.read(descriptor, at: 0, count: headerSize)
    guard header.count == headerSize else { return false }
    var sum: (UInt32, UInt32) = (0, 0)
    add(header[..<24], header[3] & 1 == 1, &sum)
    return number(header, 0) & ~1 != 0x377F_0682
      || sum != (number(header, 24), number(header, 28))
  }

  func page(_ number: Int) -> [UInt8]? {
    guard let fileOffset = offsets[number] else { return nil }
    let page = DatabaseImage.read(descriptor, at: fileOffset, count: pageSize)
    return page.count == pageSize ? page : nil
  }

  /// Reads up to the first frame whose checksum or salt is wrong; frames without a commit after
  /// them are ignored.
  private func readFrames(_ header: [UInt8], isBigEndian: Bool) {
    var sum: (UInt32, UInt32) = (0, 0)
    Self.add(header[..<24], isBigEndian, &sum)
    guard sum == (Self.number(header, 24), Self.number(header, 28)) else { return }
    var uncommitted: [Int: Int] = [:]
    var offset = Self.headerSize
    while true {
      let frame = DatabaseImage.read(
        descriptor, at: offset, count: Self.frameHeaderSize + pageSize)
      guard frame.count == Self.frameHeaderSize + pageSize, frame[8..<16] == header[16..<24] else {
        return
      }
      Self.add(frame[..<8], isBigEndian, &sum)
      Self.add(frame[Self.frameHeaderSize...], isBigEndian, &sum)
      guard sum == (Self.number(frame, 16), Self.number(frame, 20)) else { return }
      uncommitted[Int(Self.number(frame, 0))] = offset + Self.frameHeaderSize
      let pages = Int(Self.number(frame, 4))
      if pages > 0 {
        offsets.merge(uncommitted) { _, new in new }
        uncommitted.removeAll(keepingCapacity: true)
        lastPage = pages
      }
      offset += frame.count
    }
  }

  private static func number(_ bytes: [UInt8], _ fileOffset: Int) -> UInt32 {
    guard fileOffset + 4 <= bytes.count else { return 0 }
    return bytes[fileOffset..<fileOffset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func add(
    _ bytes: ArraySlice<UInt8>, _ isBigEndian: Bool, _ sum: inout (UInt32, UInt32)
  ) {
    bytes.withUnsafeBytes { bytes in
      for fileOffset in stride(from: 0, to: bytes.count - 7, by: 8) {
        let first = bytes.loadUnaligned(fromByteOffset: fileOffset, as: UInt32.self)
        let second = bytes.loadUnaligned(fromByteOffset: fileOffset + 4, as: UInt32.self)
        sum.0 &+= (isBigEndian ? first.bigEndian : first.littleEndian) &+ sum.1
        sum.1 &+= (isBigEndian ? second.bigEndian : second.littleEndian) &+ sum.0
      }
    }
  }
}
