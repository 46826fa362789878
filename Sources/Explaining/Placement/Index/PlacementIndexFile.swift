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
    guard let content = CacheFile.read(path, mostBytes: 1 << 30), content.count > Self.tailLength
    else { return nil }
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
}

/// Writes an index to a file, with its end and a checksum.
final class PlacementIndexSink {
  private let file: CacheFile.Writer
  private var sum: UInt32 = 0

  init(_ path: String) { file = CacheFile.Writer(path) }

  /// Why it cannot be written; `nil` if it can.
  var reason: String? { file.isBusy ? "another process writes it" : file.reason }

  func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      if let start = buffer.baseAddress { sum = tl_crc32c(sum, start, buffer.count) }
    }
    file.write(bytes)
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
    return file.finish() ? nil : reason
  }

  /// Removes what has been written, if it is not finished.
  func cancel() { file.cancel() }
}
