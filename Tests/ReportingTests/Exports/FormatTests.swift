import LogAnalysis
import Testing

@testable import LogFormat
@testable import Reporting
@testable import TaskLogPlugin

@Suite struct FormatTests {
  @Test(arguments: [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_152])
  func `a Protocol Buffers message has the length of its content`(count: Int) {
    var buffer = Protobuf()
    buffer.message(1) { $0.bytes += [UInt8](repeating: 7, count: count) }
    var length: [UInt8] = []
    var left = count
    repeat {
      length.append(UInt8(left & 0x7F) | (left >= 0x80 ? 0x80 : 0))
      left >>= 7
    } while left > 0
    #expect(buffer.bytes == [0x0A] + length + [UInt8](repeating: 7, count: count))
  }

  @Test func `Protocol Buffers numbers equal those of the specification`() {
    var buffer = Protobuf()
    buffer.number(1, 150)
    buffer.integer(2, -2)
    buffer.fixed(47, 1)
    buffer.text(2, "testing")
    #expect(
      buffer.bytes == [0x08, 0x96, 0x01] + [0x10, 0xFE]
        + [UInt8](repeating: 0xFF, count: 8) + [0x01]
        + [0xF9, 0x02, 1, 0, 0, 0, 0, 0, 0, 0]
        + [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6E, 0x67])
  }

  @Test(arguments: [
    ("", UInt32(0xd41d_8cd9)), ("a", 0x0cc1_75b9), ("abc", 0x9001_5098),
    ("message digest", 0xf96b_697d),
    (
      "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      0x57ed_f4a2
    ),
  ])
  func `MD5 is that of RFC 1321`(text: String, start: UInt32) {
    #expect(MD5.start(of: text) == start)
  }

  @Test(arguments: [
    (1, "1.00 s"), (0.001234, "1.23 ms"), (0.00012345, "123.45 us"), (123.456, "123.46 s"),
    (1234.567, "20m 34s"), (12345.67, "3hr 25m"), (123456.78, "34hr 17m"),
    (1234567.89, "14d 6hr"),
  ])
  func `durations are formatted as in Dask`(seconds: Double, text: String) {
    #expect(TaskStreamExport.text(seconds) == text)
  }

  @Test func `JSON escapes terminal control characters and string terminators`() throws {
    let text = "a\"b\\c\n\r\t\u{1}\u{1B}[31m\u{7F}\u{9B}\u{202E}\u{2028}é😀</script>"
    var bytes: [UInt8] = []
    bytes.json(text)
    let json = String(decoding: bytes, as: UTF8.self)
    #expect(try JSONReader.value(json) == .string(text))
    #expect(json.unicodeScalars.allSatisfy { $0 == "é" || $0 == "😀" || (" "..."~").contains($0) })
  }

  @Test func `JSON of a log is unchanged, and damaged JSON becomes text`() throws {
    for text in ["{\"a\":[1,2.5e-3,null,true]}", "{ \"a\" :\n1}", "{\"a\":\"\u{9B}x\u{2028}\"}"] {
      var bytes: [UInt8] = []
      bytes.json(recorded: text)
      let written = String(decoding: bytes, as: UTF8.self)
      #expect(try JSONReader.value(written) == JSONReader.value(text))
      #expect(!written.contains { $0.isNewline })
    }
    for text in ["{\"a\":", "", "nul", "{\"a\":1}}", "\"\u{1}\"", "01"] {
      var bytes: [UInt8] = []
      bytes.json(recorded: text)
      #expect(try JSONReader.value(String(decoding: bytes, as: UTF8.self)) == .string(text))
    }
  }
}

@Suite struct RunArgsTests {
  @Test func `fields are found in any order, and others are skipped`() {
    let json = #"""
      {"x":{"worker":"no"},"startstops":{"$tuple":[{"stop":2.5,"action":"compute","start":1.25},
      {"action":"transfer","start":0,"stop":1,"source":"tcp://b"},7]},"thread":-5,
      "worker":"tcp://\u00e9","nbytes":9223372036854775807,"typename":null,
      "exception_text":"boom \"x\"","traceback_text":{"$opaque":"redacted"}}
      """#
    let runArgs = RunArgs(json)
    #expect(runArgs.worker == "tcp://é")
    #expect(runArgs.thread == -5)
    #expect(runArgs.nbytes == .max)
    #expect(runArgs.typeName == nil)
    #expect(runArgs.exception == "boom \"x\"")
    #expect(runArgs.traceback == #"{"$opaque":"redacted"}"#)
    #expect(
      runArgs.spans == [
        WorkSpan(action: "compute", start: 1_250_000_000, stop: 2_500_000_000),
        WorkSpan(action: "transfer", start: 0, stop: 1_000_000_000, source: "tcp://b"),
      ])
  }

  @Test func `args that are not JSON are ignored`() {
    for text in ["", "{", "[]", "{\"worker\":", "7"] {
      #expect(RunArgs(text).worker == nil && RunArgs(text).spans.isEmpty)
    }
  }
}
