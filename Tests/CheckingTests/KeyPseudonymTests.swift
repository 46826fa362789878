import EventLog
import TaskLogPlugin
import TestSupport
import Testing

/// What the pseudonyms of keys must have in common with the keys.
@Suite struct KeyPseudonymTests {
  private static func pseudonyms(
    of keys: [Key], keeping kept: Set<KeptName> = []
  ) -> KeyPseudonyms {
    let pseudonyms = Pseudonyms(keeping: kept).keys
    for key in keys { pseudonyms.collect(key) }
    pseudonyms.prepare()
    return pseudonyms
  }

  /// Fails unless keys and pseudonyms sort alike and are bundled alike.
  private static func expectSame(_ keys: [Key], sourceLocation: SourceLocation = #_sourceLocation) {
    let pseudonyms = pseudonyms(of: keys)
    let copies = keys.map { pseudonyms.pseudonym(of: $0) }
    #expect(Set(copies).count == Set(keys).count, sourceLocation: sourceLocation)
    let order = keys.indices.sorted { less(keys[$0].text, keys[$1].text) }
    for (one, two) in zip(order, order.dropFirst()) where keys[one].text != keys[two].text {
      #expect(
        less(copies[one].text, copies[two].text),
        "\(keys[one]) \(keys[two]): \(copies[one]) \(copies[two])", sourceLocation: sourceLocation)
    }
    for (bundle, part) in [("prefix", \Key.prefix), ("group", \Key.group)] {
      var found: [Key: String] = [:]
      var originals: [Key: String] = [:]
      for (key, copy) in zip(keys, copies) {
        let (original, own) = (key[keyPath: part], copy[keyPath: part])
        #expect(
          found[Key(original)] ?? own == own, "\(bundle) of \(key): \(copy)",
          sourceLocation: sourceLocation)
        #expect(
          originals[Key(own)] ?? original == original, "\(bundle) of \(key): \(copy)",
          sourceLocation: sourceLocation)
        (found[Key(original)], originals[Key(own)]) = (own, original)
        #expect(pseudonyms.pseudonym(ofKnown: original) == own, "\(bundle) of \(key): \(copy)")
      }
    }
  }

  private static func less(_ one: String, _ other: String) -> Bool {
    Array(one.utf8).lexicographicallyPrecedes(Array(other.utf8))
  }

  @Test func `pseudonyms sort and divide as the keys of Dask do`() {
    let hash = "e36d6bd33345ea8bd1179c7e65271b77"
    Self.expectSame([
      Key("increment-\(hash)"), "increment", "after-broken", "x", "x-1", "x-foo-1", "x-zzz9-1",
      "read_csv-abcdefab", "read_csv-uvwxyzab", "hello-world-1", "inc-abcdefgh", "inc-zbcdefgh",
      "data", "data-1", "dat-1", "datb-1", "Other-1", "Othe-1", "Zoo-2", "A-1", Key(hash),
      Key("f\(hash.dropLast())"), Key("0\(hash.dropFirst())"), Key("\(hash)-x"),
      "('sum-1f2e', 0, 1)", "('sum-1f2e', 1, 1)", "_private-1", "__init__-2", "1-2", "12-x",
      "<module.Class object at 0x7f>", "<Class>-1", "größe-1", "Ärger", "→-1", "", "-", "()",
      "a.b c",
      Key("sum-1f2e", 0), Key("sum-1f2e", 10), Key("sum-1f2e", 9), Key("sum-1f2f", 0),
      Key("count", "no text.bin"), Key("count", "0.txt"),
      Key(.tuple([.tuple([.string("deep-1"), .int(2)]), .double(2.5)]))!,
    ])
  }

  @Test(arguments: 0..<200) func `pseudonyms sort and divide as random keys do`(seed: Int) {
    var random = Randomness.generator(UInt64(seed))
    let words = [
      "a", "ab", "abc", "b", "data", "Other", "abcdefab", "x1", "1", "12", "_", "ö", "B",
      "e36d6bd33345ea8bd1179c7e65271b77", "0e6d6bd33345ea8bd1179c7e65271b77", "~", ":", "@",
    ]
    let separators = ["-", "-", "-", ".", "'", "(", ")", ", ", "/", "--", " "]
    let keys = (0..<60).map { _ in
      var text = random.once(in: 8) ? ["(", "'", "('", "_", "<"][random.below(5)] : ""
      for place in 0..<(1 + random.below(4)) {
        if place > 0 { text += separators[random.below(separators.count)] }
        text += words[random.below(words.count)]
      }
      return random.once(in: 3) ? Key(text, random.below(12)) : Key(text)
    }
    // What `key_split` strips from the end of a first word is compared with what follows a word.
    Self.expectSame(keys.filter { $0.group.last != "_" })
  }

  @Test func `numbers stay in keys`() throws {
    let keys = try [Value.int(7), .double(1.5), .tuple([.int(1), .int(2)])].map {
      try #require(Key($0))
    }
    let pseudonyms = Self.pseudonyms(of: keys)
    #expect(keys.map { pseudonyms.pseudonym(of: $0) } == keys)
  }

  @Test func `two copies have different pseudonyms, and keys stay only on request`() {
    let keys: [Key] = ["load-1", "load-2", Key("sum", 3)]
    let one = keys.map { Self.pseudonyms(of: keys).pseudonym(of: $0) }
    // Of 36 values for each of four tokens: equal once in a million.
    #expect(
      (0..<10).contains { _ in one != keys.map { Self.pseudonyms(of: keys).pseudonym(of: $0) } })
    let kept = Self.pseudonyms(of: keys, keeping: [.keys])
    #expect(keys.map { kept.pseudonym(of: $0) } == keys)
    #expect(kept.pseudonym(ofKnown: "load") == "load")
    #expect(kept.pseudonym(ofKnown: "secret") == nil)
  }
}
