import Foundation
import TestSupport
import Testing

@testable import TaskLogPlugin

@Suite struct JSONRoundTripTests {
  @Test func `every value is restored from its JSON, and gives the same JSON again`() throws {
    var random = Randomness.generator(1)
    for round in 0..<Randomness.count {
      let value = random.value()
      let text = JSONWriter.text(value)
      let decoded = try JSONReader.value(text)
      #expect(decoded == value, "seed \(Randomness.seed), round \(round): \(text)")
      #expect(decoded.hashValue == value.hashValue)
      #expect(JSONWriter.text(decoded).sameBytes(as: text))
    }
  }

  @Test func `interned bytes are restored from their store`() throws {
    var random = Randomness.generator(2)
    for round in 0..<Randomness.count / 2 {
      let value = random.value()
      var store: [String: [UInt8]] = [:]
      var encoded: [String] = []
      for _ in 0..<2 {
        var writer = JSONWriter { bytes in
          guard bytes.count > 8 else { return nil }
          let bytes = Array(bytes)
          let hash = "h\(bytes.hashValue)"
          store[hash] = bytes
          return hash
        }
        try writer.write(value)
        encoded.append(String(decoding: writer.output, as: UTF8.self))
      }
      let decoded = try JSONReader.value(encoded[0]) { store[$0] }
      #expect(decoded == value, "seed \(Randomness.seed), round \(round): \(encoded[0])")
      #expect(encoded[0].sameBytes(as: encoded[1]))
    }
  }

  @Test func `interned bytes without a store stay a reference and are written back as one`() throws
  {
    for text in [#"{"$blob":"ab12"}"#, #"{"$bytearray":{"$blob":"ab12"}}"#] {
      let value = try JSONReader.value(text)
      #expect(value.isOpaque)
      #expect(JSONWriter.text(value) == text)
      #expect(try JSONReader.value(text) { _ in nil } == value)
    }
  }

  @Test func `args are restored from their JSON`() throws {
    var random = Randomness.generator(3)
    for round in 0..<Randomness.count {
      let args = random.args()
      let json = args.json
      let decoded = Args(json: EncodedJSON(json))
      #expect(
        decoded.content == args.content, "seed \(Randomness.seed), round \(round): \(json)")
      #expect(decoded.isEmpty == args.isEmpty)
      #expect(Args(decoded.content).json.sameBytes(as: json))
    }
  }

  @Test(arguments: [
    (Args.none, "{}"),
    (Args(positional: [1, "a"], named: []), #"{"$args":[1,"a"]}"#),
    (Args(named: [.init("worker", "w")]), #"{"worker":"w"}"#),
    (
      Args(positional: [.null], named: [.init("b", 1), .init("a", 2)]),
      #"{"$args":[null],"b":1,"a":2}"#
    ),
    (Args(named: [.init("$args", 1)]), ##"{"$kwargs":{"$map":[["$args",1]]}}"##),
  ])
  func `args are written as documented`(args: Args, json: String) {
    #expect(args.json == json)
    #expect(Args(json: EncodedJSON(json)) == args)
  }

  @Test func `unreadable args become one marked argument`() {
    for json in ["", "[]", "{", "1", #"{"$tuple":[]}"#] {
      let content = Args(json: EncodedJSON(json)).content
      #expect(content.named.map(\.name) == ["$unreadable"], "\(json)")
      #expect(content.named.first?.value.isOpaque == true)
    }
  }

  @Test(arguments: [
    (Value.int(1), "1"), (.double(1), "1.0"), (.double(-0.0), "-0.0"),
    (.bigInt("9223372036854775808"), #"{"$int":"9223372036854775808"}"#),
    (.double(.nan), #"{"$float":"nan"}"#), (.double(-.infinity), #"{"$float":"-inf"}"#),
    (.bytes([0, 255]), #"{"$bytes":"AP8="}"#), (.wtf8([0xED, 0xB2, 0x80]), #"{"$wtf8":"7bKA"}"#),
    (.tuple([]), #"{"$tuple":[]}"#), (.dict([]), "{}"),
    (.dict([.init(1, 2)]), #"{"$map":[[1,2]]}"#),
    (.dict([.init("$a", 2), .init("b", 3)]), #"{"$map":[["$a",2],["b",3]]}"#),
    (.string("\0\u{7f}\"\\\n"), #""\u0000\u007f\"\\\n""#),
  ])
  func `values are written as documented`(value: Value, json: String) throws {
    #expect(JSONWriter.text(value) == json)
    #expect(try JSONReader.value(json) == value)
  }

  @Test func `Python reads the written JSON`() throws {
    var random = Randomness.generator(4)
    let texts = (0..<300).map { _ in JSONWriter.text(random.value()) }
    let program =
      "import json, sys; print(sum(1 for line in sys.stdin.buffer if json.loads(line) or True))"
    // JSON as we write it holds no newline.
    let python = try Child.run(
      ["python3", "-c", program], writing: Data(texts.map { $0 + "\n" }.joined().utf8))
    #expect(python.code == 0)
    #expect(String(decoding: python.output, as: UTF8.self) == "300\n")
  }
}
