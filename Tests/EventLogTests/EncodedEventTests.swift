import Testing

@testable import LogFormat
@testable import TaskLogPlugin

/// Events that another language has encoded.
@Suite struct EncodedEventTests {
  /// An event with only a time and a key.
  private static func event(
    time: (inout MessagePackWriter) -> Void = { $0.write(Int64(5)) },
    key: (inout MessagePackWriter) -> Void = { $0.write("k") }
  ) throws -> Event {
    var writer = MessagePackWriter()
    time(&writer)
    writer.write(Int64(13))
    key(&writer)
    for _ in 0..<7 { writer.writeNil() }
    return try EncodedEvent(fields: writer.bytes).decoded()
  }

  @Test(arguments: [0, 1.25, 1_795_463_561.390_625, -0.5, 4_000_000_000.999])
  func `a time in seconds becomes the nanoseconds that convert back to it`(seconds: Double) throws {
    let event = try Self.event(time: { $0.write(seconds) })
    #expect(Double(event.time) / 1e9 == seconds)
  }

  @Test(arguments: [Double.nan, .infinity, 1e300])
  func `an invalid time is an error`(seconds: Double) {
    #expect(throws: MessagePackError.self) { try Self.event(time: { $0.write(seconds) }) }
  }

  @Test(arguments: [
    Value.string("plain"), .string("nul\0"), .wtf8([0x61, 0xED, 0xB2, 0x80]), .int(7),
    .double(7), .bigInt("123456789012345678901234567890"), .tuple(["x", 1, .tuple([2.5])]),
  ])
  func `a key may be given as its value`(value: Value) throws {
    let key = try #require(try Self.event(key: { $0.write(value) }).key)
    #expect(key == Key(value))
    #expect(key.value == value)
  }

  @Test(arguments: [Value.dict([]), .bool(true), .list([1, 2, 3, 4]), .tagged("$opaque", "x")])
  func `a value that is not a key is an error`(value: Value) {
    #expect(throws: (any Error).self) { try Self.event(key: { $0.write(value) }) }
  }
}

/// Records of a source that numbers its events itself.
@Suite struct SourceRecordTests {
  private static func record(_ content: [UInt8], crc: UInt32? = nil) -> [UInt8] {
    let crc = crc ?? content.withUnsafeBytes { CRC32.checksum($0) }
    func bytes(_ number: UInt32) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
    return bytes(UInt32(content.count)) + bytes(crc) + content
  }

  private static func gap(_ sourceSeq: Int64, count: Int64) -> [UInt8] {
    var writer = MessagePackWriter()
    writer.write(arrayOf: 4)
    writer.write(sourceSeq)
    writer.write(count)
    writer.write(Int64(9))
    writer.write("why")
    return Array(writer.bytes)
  }

  /// The numbers of the gaps in some records, and the number of malformed records.
  private static func read(_ bytes: [UInt8]) -> (numbers: [Int64], unreadable: Int) {
    bytes.withUnsafeBytes { bytes in
      var reader = SourceRecordReader(bytes, checksCRC: true)
      var numbers: [Int64] = []
      while let record = reader.next() {
        if case .gap(let sourceSeq, _, _, "why") = record { numbers.append(sourceSeq) }
      }
      return (numbers, reader.unreadableCount)
    }
  }

  @Test func `the checksum is zlib's`() {
    #expect(Array("123456789".utf8).withUnsafeBytes { CRC32.checksum($0) } == 0xCBF4_3926)
  }

  @Test func `records end at a length of 0`() {
    let records = Self.record(Self.gap(1, count: 2)) + Self.record(Self.gap(3, count: 1))
    #expect(Self.read(records + [UInt8](repeating: 0, count: 20)).numbers == [1, 3])
    #expect(Self.read(records).unreadable == 0)
    #expect(Self.read([]).numbers == [])
  }

  @Test func `malformed records are skipped and counted`() {
    let good = Self.record(Self.gap(1, count: 2))
    let odd = Self.record([0xC1, 0xC1])
    #expect(Self.read(odd + good) == ([1], 1))
    #expect(Self.read(good + Self.record(Self.gap(3, count: 1), crc: 5)) == ([1], 1))
  }

  @Test func `truncated or damaged records never trap`() {
    let whole = Self.record(Self.gap(1, count: 2)) + Self.record(Self.gap(3, count: 1))
    for length in 0...whole.count { _ = Self.read(Array(whole[..<length])) }
    for place in whole.indices {
      var damaged = whole
      damaged[place] ^= 0xFF
      #expect(Self.read(damaged).numbers.count < 2)
    }
  }
}
