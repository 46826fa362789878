/// Records of a source that numbers its events itself and keeps them in its own spool until the
/// recorder has received them: a worker of a Dask cluster.
///
/// Each is a header of eight bytes, the length of the content and its CRC-32 (zlib's), both little
/// endian, and the content in MessagePack:
/// - `[sourceSeq, …]`, eleven elements: an event, with the fields of a `SpoolRecord` event from the
///   time on;
/// - `[sourceSeq, count, time, reason]`: `count` events from this one on are missing.
///
/// A length of 0 marks the end.
package enum SourceRecord {
  case event(sourceSeq: Int64, fields: UnsafeRawBufferPointer)
  case gap(sourceSeq: Int64, count: Int64, time: Int64, reason: String)

  init(_ content: UnsafeRawBufferPointer) throws(MessagePackError) {
    var reader = MessagePackReader(content)
    let count = try reader.arrayCount()
    let sourceSeq = try reader.integer()
    guard sourceSeq > 0, sourceSeq < 1 << 48 else {
      throw MessagePackError(offset: 0, reason: "no number of an event")
    }
    switch count {
    case 11: self = .event(sourceSeq: sourceSeq, fields: reader.rest)
    case 4:
      self = .gap(
        sourceSeq: sourceSeq, count: try reader.integer(), time: try reader.integer(),
        reason: String(decoding: try reader.text(), as: UTF8.self))
    default: throw MessagePackError(offset: 0, reason: "an unknown kind of record")
    }
  }
}

/// Iterates over the records of a source. Invalid records are skipped and counted: the numbers of
/// the events show what is missing.
package struct SourceRecordReader {
  private let bytes: UnsafeRawBufferPointer
  private let checksCRC: Bool
  private var position = 0
  package private(set) var unreadableCount = 0

  /// - Parameters:
  ///   - bytes: must stay valid and in place while the reader is in use.
  ///   - checksCRC: for records that come from a disk.
  package init(_ bytes: UnsafeRawBufferPointer, checksCRC: Bool = false) {
    self.bytes = bytes
    self.checksCRC = checksCRC
  }

  package mutating func next() -> SourceRecord? {
    while let content = nextContent() {
      if let record = try? SourceRecord(content) { return record }
      unreadableCount += 1
    }
    return nil
  }

  /// The content of the next record; `nil` at the end, or if the following bytes are damaged.
  package mutating func nextContent() -> UnsafeRawBufferPointer? {
    guard bytes.count - position >= 8 else { return nil }
    let length = Int(number(at: position))
    guard length > 0 else { return nil }
    guard length <= bytes.count - position - 8 else {
      unreadableCount += 1
      position = bytes.count
      return nil
    }
    let content = UnsafeRawBufferPointer(rebasing: bytes[position + 8..<position + 8 + length])
    guard !checksCRC || CRC32.checksum(content) == number(at: position + 4) else {
      unreadableCount += 1
      position = bytes.count
      return nil
    }
    position += 8 + length
    return content
  }

  private func number(at offset: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
}

/// zlib's CRC-32 (RFC 1952, section 8), which is part of every Python.
package enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { (value: UInt32) in
    (0..<8).reduce(value) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes { crc = table[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8 }
    return crc ^ 0xFFFF_FFFF
  }
}
