import CSupport
import EventLog
import Glibc
import LogFormat
import Replaying
import TaskLogPlugin

/// The end of an index: what it is of, and of which part of the log.
///
/// It is valid while that part is unchanged: its last event has the same seq, and nothing has been
/// removed before it.
struct PlacementIndexEnd: Equatable {
  var name: String
  var sourceSeq: Int64
  var seq: Int64
  var firstSourceSeq: Int64
  var missing: Int64
  /// The seq up to which it has all choices.
  var through: Int64

  var text: String {
    JSONWriter.text(
      .object([
        "name": .string(name), "sourceSeq": .int(sourceSeq), "seq": .int(seq),
        "firstSourceSeq": .int(firstSourceSeq), "missing": .int(missing), "through": .int(through),
      ]))
  }

  init?(_ text: String) {
    guard let value = try? JSONReader.value(text), let name = value["name"]?.string,
      let sourceSeq = value["sourceSeq"]?.int, let seq = value["seq"]?.int,
      let first = value["firstSourceSeq"]?.int, let missing = value["missing"]?.int,
      let through = value["through"]?.int
    else { return nil }
    (self.name, self.sourceSeq, self.seq) = (name, sourceSeq, seq)
    (firstSourceSeq, self.missing, self.through) = (first, missing, through)
  }

  /// - Parameter last: the last event that is in it.
  /// - Returns: `nil` if that is not in the log.
  /// - Throws: `LogError`.
  init?(
    _ name: String, _ reader: LogReader, _ source: SourceInfo, last sourceSeq: Int64,
    through: Int64
  ) throws {
    guard let seq = try reader.seq(of: sourceSeq, in: source),
      let first = try reader.first(of: source)
    else { return nil }
    (self.name, self.sourceSeq, self.seq) = (name, sourceSeq, seq)
    firstSourceSeq = first.sourceSeq
    missing = try reader.missing(of: source, before: sourceSeq)
    self.through = through
  }
}

/// The content of an index: its bytes, the text of its end, and the length of that and a checksum.
struct PlacementIndexFile {
  private static let tailLength = 8

  let end: PlacementIndexEnd
  private let content: [UInt8]
  private let count: Int

  /// `nil` if it is missing or damaged.
  init?(_ path: String) {
    let descriptor = RegularFile.open(path, O_RDONLY | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard let content = Self.read(descriptor), content.count > Self.tailLength else { return nil }
    let (length, sum) = content.withUnsafeBytes { bytes in
      func number(at end: Int) -> UInt32 {
        UInt32(
          littleEndian: bytes.loadUnaligned(
            fromByteOffset: content.count - end, as: UInt32.self))
      }
      return (Int(number(at: Self.tailLength)), number(at: Self.tailLength / 2))
    }
    let tail = content.count - Self.tailLength
    guard length <= tail else { return nil }
    let isWhole = content.withUnsafeBytes { bytes in
      bytes.baseAddress.map { tl_crc32c(0, $0, tail) } == sum
    }
    let text = String(decoding: content[(tail - length)..<tail], as: UTF8.self)
    guard isWhole, let end = PlacementIndexEnd(text) else { return nil }
    (self.end, self.content, count) = (end, content, tail - length)
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try content.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }

  private static func read(_ descriptor: Int32) -> [UInt8]? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size < 1 << 30 else { return nil }
    let size = Int(status.st_size)
    var isComplete = true
    let content = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let some = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), size - count)
        if some < 0, errno == EINTR { continue }
        if some <= 0 { break }
        count += some
      }
      isComplete = count == size
    }
    return isComplete ? content : nil
  }
}

/// Writes an index to a file, which gets its name when it is complete.
final class PlacementIndexSink {
  private let path: String
  private let descriptor: Int32
  private var sum: UInt32 = 0
  /// Whether the unfinished file is this process's.
  private var isOwner = false
  private(set) var reason: String?

  private var unfinished: String { path + Self.unfinishedSuffix }
  static let unfinishedSuffix = ".new"

  init(_ path: String) {
    self.path = path
    let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
    descriptor = open(path + Self.unfinishedSuffix, flags, 0o600)
    if descriptor < 0 {
      reason = Self.error()
    } else if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      reason = "another process writes it"
    } else if !isInPlace {
      reason = "another process has just written it"
    } else {
      isOwner = true
      if ftruncate(descriptor, 0) != 0 { reason = Self.error() }
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Whether the unfinished file has not been finished or removed since it was opened.
  private var isInPlace: Bool {
    var (own, named) = (stat(), stat())
    return fstat(descriptor, &own) == 0 && lstat(unfinished, &named) == 0
      && own.st_dev == named.st_dev && own.st_ino == named.st_ino
  }

  func write(_ bytes: [UInt8]) {
    guard reason == nil else { return }
    bytes.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return }
      sum = tl_crc32c(sum, start, buffer.count)
      var written = 0
      while written < buffer.count {
        let count = Glibc.write(descriptor, start + written, buffer.count - written)
        if count < 0, errno == EINTR { continue }
        if count <= 0 {
          reason = Self.error()
          return
        }
        written += count
      }
    }
  }

  /// - Returns: why it could not be written; `nil` if it has been.
  func finish(_ end: PlacementIndexEnd) -> String? {
    let text = Array(end.text.utf8)
    write(text)
    let whole = sum
    var tail: [UInt8] = []
    for number in [UInt32(text.count), whole] {
      withUnsafeBytes(of: number.littleEndian) { tail.append(contentsOf: $0) }
    }
    write(tail)
    guard reason == nil else { return reason }
    if rename(unfinished, path) != 0 {
      reason = Self.error()
    } else {
      isOwner = false
    }
    return reason
  }

  /// Removes what has been written, if it is not finished.
  func cancel() { if isOwner { unlink(unfinished) } }

  private static func error() -> String { String(cString: strerror(errno)) }
}
