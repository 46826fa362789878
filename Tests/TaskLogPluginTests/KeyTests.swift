import TestSupport
import Testing

@testable import TaskLogPlugin

@Suite struct KeyTests {
  @Test func `Unicode-equivalent texts are different keys`() {
    #expect(Key("caf\u{e9}") != Key("cafe\u{301}"))
  }

  @Test func `text, integer, float and tuple that look the same are different keys`() throws {
    let keys = try [Value.string("1"), .int(1), .double(1), .tuple([1]), "1.0", "(1,)", "('1',)"]
      .map { try #require(Key($0)) }
    #expect(Set(keys).count == keys.count)
  }

  @Test func `0.0 and -0.0 are different keys`() {
    #expect(Key(.double(0)) != Key(.double(-0.0)))
  }

  @Test func `the text of a key never contains NUL`() throws {
    var random = Randomness.generator(20)
    for _ in 0..<Randomness.count {
      let key = try #require(Key(random.keyValue()))
      #expect(!key.text.utf8.contains(0))
      #expect(!key.prefix.utf8.contains(0))
      #expect(!key.group.utf8.contains(0))
    }
  }

  @Test func `NUL and the text that represents it are different keys`() {
    #expect(Key("a\0b").text == #"a\u0000b"#)
    #expect(Key("a\0b") != Key(#"a\u0000b"#))
    #expect(Key("a\0b").value == "a\0b")
  }

  @Test func `a key that is plain text is stored once`() {
    #expect(Key("inc-2a3d").typed.isEmpty)
    #expect(Key("(1, 2)").typed.isEmpty)
    #expect(!Key("x", 1).typed.isEmpty)
  }

  @Test func `a key is restored from its value`() throws {
    var random = Randomness.generator(21)
    for round in 0..<Randomness.count {
      let value = random.keyValue()
      let key = try #require(Key(value))
      #expect(key.value == value, "seed \(Randomness.seed), round \(round)")
      #expect(Key(key.value) == key)
    }
  }

  @Test func `a key is restored from the two texts of a log`() throws {
    var random = Randomness.generator(22)
    for round in 0..<Randomness.count {
      let key = try #require(Key(random.keyValue()))
      let read = Key(text: key.text, typed: key.typed)
      #expect(read == key, "seed \(Randomness.seed), round \(round): \(key)")
      #expect(read.hashValue == key.hashValue)
      #expect(read.value == key.value)
    }
  }

  @Test func `ten thousand random keys are found again in a dictionary`() throws {
    var random = Randomness.generator(23)
    var places: [Key: Int] = [:]
    var byValue: [Value: Int] = [:]
    for place in 0..<10_000 {
      let value = random.keyValue()
      byValue[value] = place
      places[try #require(Key(value))] = place
    }
    #expect(places.count == byValue.count)
    for (value, place) in byValue {
      #expect(places[try #require(Key(value))] == place)
    }
  }

  @Test(arguments: [
    Value.null, true, .bytes([1]), .bytearray([1]), ["x"], .set(["x"]), .frozenset(["x"]),
    .dict([]), .opaque("redacted"), .tuple([.null]), .tuple(["x", .tuple([["y"]])]),
  ])
  func `a value that cannot name a task is not a key`(value: Value) {
    #expect(Key(value) == nil)
  }

  @Test func `tuple keys have a short spelling`() {
    #expect(Key("sum-1f2e", 0) == Key(.tuple(["sum-1f2e", 0])))
    #expect(Key("sum-1f2e", 0).text == "('sum-1f2e', 0)")
    #expect(Key("count", "a.txt").text == "('count', 'a.txt')")
  }

  /// The expectations are the results of `str` in CPython 3.
  @Test(arguments: [
    (Value.int(-5), "-5"), (.bigInt("9223372036854775808"), "9223372036854775808"),
    (.double(1), "1.0"), (.double(-0.0), "-0.0"), (.double(1e15), "1000000000000000.0"),
    (.double(9_007_199_254_740_992), "9007199254740992.0"),
    (.double(-9.9e15), "-9900000000000000.0"),
    (.double(9_007_199_254_740_994), "9007199254740994.0"),
    (.double(1e16), "1e+16"),
    (.double(1.2e16), "1.2e+16"), (.double(-1.8e16), "-1.8e+16"), (.double(2e16), "2e+16"),
    (.double(12_345_678_901_234_568), "1.2345678901234568e+16"), (.double(1e22), "1e+22"),
    (.double(0.0001), "0.0001"), (.double(0.00001), "1e-05"),
    (.double(.leastNonzeroMagnitude), "5e-324"),
    (.double(.nan), "nan"), (.double(-.nan), "nan"),
    (.double(.init(bitPattern: 0x7FF8_0000_0000_0001)), "nan"), (.double(-.infinity), "-inf"),
    (.tuple([]), "()"), (.tuple(["x"]), "('x',)"), (.tuple(["x", 1, 1.5]), "('x', 1, 1.5)"),
    (.tuple([.tuple(["a", .tuple([])]), 2]), "(('a', ()), 2)"),
    (.tuple(["it's"]), #"("it's",)"#), (.tuple([#"say "x""#]), #"('say "x"',)"#),
    (.tuple([#"it's "x""#]), #"('it\'s "x"',)"#), (.tuple(["\\\n\r\t"]), #"('\\\n\r\t',)"#),
    (.tuple(["a\0b"]), #"('a\x00b',)"#), (.tuple(["\u{1b}\u{7f}"]), #"('\x1b\x7f',)"#),
    (.tuple(["\u{a0}\u{ad}\u{200b}\u{2028}\u{e000}"]), #"('\xa0\xad\u200b\u2028\ue000',)"#),
    (.tuple(["\u{e0001}"]), #"('\U000e0001',)"#), (.tuple(["\u{e9}"]), "('\u{e9}',)"),
    (.tuple([.wtf8([0xED, 0xB2, 0x80])]), #"('\udc80',)"#),
    (.wtf8([0x61, 0xED, 0xA0, 0x80]), #"a\ud800"#),
  ])
  func `a key is shown as Python shows it`(value: Value, text: String) throws {
    let key = try #require(Key(value))
    #expect(key.text.sameBytes(as: text), "\(key.text)")
  }

  @Test func `a key with an unreadable typed text has an opaque value`() {
    let key = Key(text: "x", typed: "{")
    #expect(key.value.isOpaque)
    #expect(key.prefix == "Other")
    #expect(key.group == "Other")
  }
}
