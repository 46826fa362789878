import TestSupport
import Testing

@testable import TaskLogPlugin

@Suite struct MalformedJSONTests {
  private static let sample = JSONWriter.text(
    .object([
      "plain": ["a\n\u{1f44d}", 1, -2.5e-7, .null, true, false],
      "tagged": .tuple([.bytes([1, 2, 3]), .wtf8([0xED, 0xB2, 0x80]), .double(.infinity)]),
      "map": .dict([.init(1, .set([])), .init("$k", .bigInt("9223372036854775808"))]),
    ]))

  @Test func `a truncated text is an error`() throws {
    let bytes = Array(Self.sample.utf8)
    _ = try JSONReader.value(Self.sample)
    for length in 0..<bytes.count {
      let text = String(decoding: bytes[..<length], as: UTF8.self)
      #expect(throws: JSONError.self, "\(length) bytes") { try JSONReader.value(text) }
    }
  }

  @Test func `a text with damaged bytes is a value or an error, never a trap`() {
    var random = Randomness.generator(10)
    for _ in 0..<Randomness.count {
      var bytes = Array(
        random.once(in: 2) ? Self.sample.utf8 : JSONWriter.text(random.value()).utf8)
      for _ in 0...random.below(3) where !bytes.isEmpty {
        let place = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[place] ^= 1 << UInt8(random.below(8))
        case 1: bytes[place] = UInt8(random.below(256))
        default: bytes.remove(at: place)
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let value = try? JSONReader.value(text) else { continue }
      // Anything that was read can be written and read again.
      #expect(throws: Never.self) { try JSONReader.value(JSONWriter.text(value)) }
    }
  }

  @Test(arguments: ["[", "{\"a\":", "{\"$tuple\":[", "{\"$map\":[[", "[[1,"])
  func `a text nested too deeply is an error`(opening: String) {
    let text = String(repeating: opening, count: 100_000)
    #expect(throws: JSONError.self) { try JSONReader.value(text) }
  }

  @Test(arguments: [
    "", " ", "]", "}", ",", ":", "[1,]", "[,1]", "[1 2]", "[1]]", "[1}", "{1:2}", "{\"a\"}",
    "{\"a\":}", "{\"a\":1,}", "{,}", "{'a':1}", "{\"a\" 1}", "tru", "nul", "True", "NaN",
    "Infinity", "-Infinity", "undefined", "1 1", "\"a\"b", "// 1", "\u{feff}1", "\u{a0}1",
  ])
  func `a text that is not JSON is an error`(text: String) {
    #expect(throws: JSONError.self) { try JSONReader.value(text) }
  }

  @Test(arguments: [
    "-", "+1", "007", "-01", "00", "1.", ".5", "1.e5", "1e", "1e+", "1-2", "--1", "0x10", "1_000",
    "1e5.5", "1.2.3", "1e400", "-1e400", "1e99999999999999999999", "٣",
  ])
  func `an invalid number, or one that no float can hold, is an error`(text: String) {
    #expect(throws: JSONError.self) { try JSONReader.value(text) }
  }

  @Test func `numbers of any size are read without loss`() throws {
    let digits = "1" + String(repeating: "0", count: 5_000)
    #expect(try JSONReader.value(digits) == .bigInt(digits))
    #expect(try JSONReader.value("-9223372036854775808") == .int(.min))
    #expect(try JSONReader.value("-9223372036854775809") == .bigInt("-9223372036854775809"))
    #expect(try JSONReader.value("1E+2") == .double(100))
    #expect(try JSONReader.value("0e0") == .double(0))
  }

  @Test(arguments: [
    #""\x41""#, #""\""#, #""\u12""#, #""\u12G4""#, #""\u+123""#, #""\u-000""#, #""\u 123""#,
    #""\U00e9""#, #""\ud800""#, #""\udc00""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\ud800""#,
    #""\ud800\u0041""#, #""\ud800\u""#, #""\udc00\ud800""#, "\"a\nb\"", "\"\\n\u{1}\"", "\"\0\"",
  ])
  func `a bad escape, a lone surrogate or a raw control character is an error`(text: String) {
    #expect(throws: JSONError.self) { try JSONReader.value(text) }
  }

  @Test func `escapes of other writers are decoded`() throws {
    let text = #""\u0041\/\b\f\n\r\t\"\\\u00E9\ud83d\udc4d\u0000""#
    #expect(try JSONReader.value(text) == .string("A/\u{8}\u{c}\n\r\t\"\\\u{e9}\u{1f44d}\0"))
  }

  @Test func `an error names the byte offset`() {
    #expect(throws: JSONError.self) { try JSONReader.value("[1, x]") }
    do {
      _ = try JSONReader.value("[1, x]")
    } catch {
      #expect(error.offset == 4)
      #expect(error.description.hasPrefix("not JSON at byte 4: "))
    }
  }

  @Test(arguments: [
    #"{"$bytes":"A"}"#, #"{"$bytes":"AB=="}"#, #"{"$bytes":"AA=A"}"#, #"{"$bytes":"===="}"#,
    #"{"$bytes":"A A="}"#, #"{"$bytes":1}"#, #"{"$bytes":["AA=="]}"#, #"{"$wtf8":null}"#,
    #"{"$bytearray":{}}"#, #"{"$tuple":{}}"#, #"{"$tuple":"x"}"#, #"{"$set":1}"#,
    #"{"$frozenset":null}"#, #"{"$map":[[1]]}"#, #"{"$map":[[1,2,3]]}"#, #"{"$map":[1,[2,3]]}"#,
    #"{"$map":{}}"#, #"{"$int":"01"}"#, #"{"$int":"+9223372036854775808"}"#, #"{"$int":"--5"}"#,
    #"{"$int":""}"#, #"{"$int":"1e30"}"#, #"{"$int":5}"#, #"{"$float":"NaN"}"#,
    #"{"$float":"1.5"}"#, #"{"$float":"nan:"}"#, #"{"$float":"nan:0"}"#,
    #"{"$float":"nan:7FF8000000000001"}"#, #"{"$float":"nan:+7ff8000000000001"}"#,
    #"{"$float":"nan:7ff8000000000000"}"#, #"{"$float":"xyz:7ff8000000000001"}"#,
    #"{"$float":1.5}"#, #"{"$blob":1}"#, #"{"$":1}"#, #"{"$future":[1,{"$x":2}]}"#,
  ])
  func `a payload that does not fit its name is kept as a tagged value`(text: String) throws {
    let value = try JSONReader.value(text)
    guard case .tagged = value else {
      Issue.record("\(text) was read as \(value)")
      return
    }
    #expect(value.isOpaque)
    #expect(JSONWriter.text(value) == text)
  }

  @Test func `a value that is nested too deeply is written as marked opaque`() throws {
    for wrap in [
      { Value.list([$0]) }, { .tuple([$0]) }, { .dict([.init(1, $0)]) }, { .dict([.init($0, 1)]) },
      { .object(["a": $0]) }, { .tagged("$future", $0) },
    ] as [(Value) -> Value] {
      var value: Value = 7
      for _ in 0..<400 { value = wrap(value) }
      var writer = JSONWriter()
      try writer.write(value)
      #expect(writer.opaqueCount > 0)
      let text = String(decoding: writer.output, as: UTF8.self)
      #expect(text.contains(#"{"$opaque":"too deep"}"#))
      #expect(JSONWriter.text(try JSONReader.value(text)) == text)
      // The same as args, which add a level.
      let args = Args(positional: [value], named: [.init("$x", value)])
      #expect(Args(json: EncodedJSON(args.json)).content.positional.count == 1)
    }
  }

  @Test func `a value that is as deep as allowed is written completely`() throws {
    var value: Value = 7
    for _ in 0..<JSONWriter.maximumDepth - 1 { value = .dict([.init(1, value)]) }
    var writer = JSONWriter()
    try writer.write(value)
    #expect(writer.opaqueCount == 0)
    #expect(try JSONReader.value(String(decoding: writer.output, as: UTF8.self)) == value)
  }
}
