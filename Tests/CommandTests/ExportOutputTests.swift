import Foundation
import TestTraits
import Testing

/// The output of every export of the small log in `Logs/`, compared as text.
///
/// The expected texts are in `Outputs/`, one file per format. After an intended change,
/// `TASKLOG_WRITE_OUTPUTS=1 swift test --filter ExportOutputTests` rewrites them.
@Suite(.blocking) struct ExportOutputTests {
  private static let outputs = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("Outputs")

  @Test(arguments: [
    "perfetto", "chrome", "otlp-json", "dask", "dask --rectangles", "jsonl", "csv",
  ])
  func `the output of an export is as expected`(format: String) throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("sample.db"))
    let arguments = ["export", "--to"] + format.split(separator: " ").map(String.init)
    let result = try Command.run(
      arguments + ["--run", "all", "-o", "output"], environment: ["TASKLOG_LOG": "sample.db"],
      folder: folder.url)
    #expect(result.code == 0)
    let written = Array(try Data(contentsOf: URL(fileURLWithPath: folder("output"))))
    var text = "$ tasklog \(arguments.joined(separator: " ")) --run all -o output\n"
    text += result.output + result.errors + "\n"
    text +=
      format == "perfetto"
      ? try #require(RawProtobuf.text(written[...], indent: ""), "it is no protocol buffer")
      : String(decoding: written, as: UTF8.self)
    let name = format.replacing(" --", with: "-")
    let file = Self.outputs.appendingPathComponent("export-\(name).txt")
    if ProcessInfo.processInfo.environment["TASKLOG_WRITE_OUTPUTS"] == "1" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(try String(contentsOf: file, encoding: .utf8) == text)
  }
}

/// Protocol buffers as text without their schema, as `protoc --decode_raw` shows them:
/// https://protobuf.dev/programming-guides/encoding/
private enum RawProtobuf {
  /// `nil` if it is not a message.
  static func text(_ bytes: ArraySlice<UInt8>, indent: String) -> String? {
    var rest = bytes
    var text = ""
    while !rest.isEmpty {
      guard let tag = varint(&rest), tag >> 3 > 0, tag >> 3 < 1 << 29 else { return nil }
      let name = "\(indent)\(tag >> 3)"
      switch tag & 7 {
      case 0:
        guard let number = varint(&rest) else { return nil }
        text += "\(name): \(number)\n"
      case 1:
        guard rest.count >= 8 else { return nil }
        let word = rest.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(8)
        text += "\(name): 0x\(String(word, radix: 16))\n"
      case 2:
        guard let length = varint(&rest), length <= UInt64(rest.count) else { return nil }
        let content = rest.prefix(Int(length))
        rest = rest.dropFirst(Int(length))
        text += "\(name)\(self.content(content, indent: indent))\n"
      default: return nil
      }
    }
    return text
  }

  /// Text if it is readable, else a message, else bytes.
  private static func content(_ bytes: ArraySlice<UInt8>, indent: String) -> String {
    let isText = bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    if isText { return ": \"\(String(decoding: bytes, as: UTF8.self))\"" }
    if let message = text(bytes, indent: indent + "  ") { return " {\n\(message)\(indent)}" }
    return ": \(bytes.map { String($0, radix: 16) }.joined(separator: " "))"
  }

  private static func varint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = bytes.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}
