import TaskLogPlugin

/// The pseudonyms of keys, prefixes and groups.
///
/// A text is split into tokens, the runs of bytes from `0` on, and what separates them (`-`, `'`, `(`,
/// `,`, `.`, spaces), which stays. Each token gets a code of letters. All codes are of one length and
/// sort as their tokens do; separators sort before each of them, as they did before each token. So the
/// pseudonyms of all texts sort as the texts did, byte for byte, and texts that shared a beginning up
/// to a separator still do: `key_split` divides a pseudonym where it divided the key.
///
/// All tokens must be collected before the first pseudonym is made. The only order that a code reveals
/// is that of the tokens: their values are random, in ascending order.
package final class KeyPseudonyms {
  private let isKeeping: Bool
  private var keys: Set<Key> = []
  /// The texts of keys and of the elements of tuples, and those of prefixes and groups without a key.
  private var texts: Set<Key> = []
  private var tokens: Set<[UInt8]> = []
  private var codes: [[UInt8]: String] = [:]
  /// The pseudonyms of prefixes, groups and texts, as they follow from those of their keys.
  private var known: [Key: String] = [:]

  init(isKeeping: Bool) {
    self.isKeeping = isKeeping
  }

  /// The number of different keys.
  package var count: Int { keys.count }

  // MARK: - Collecting

  package func collect(_ key: Key) {
    guard keys.insert(key).inserted else { return }
    let value = key.value
    collectTexts(Key(value) == nil ? .string(key.text) : value)
  }

  /// Collects the text of a prefix or a group, of which there may be no key.
  package func collect(bundle text: String) { collectTexts(.string(text)) }

  private func collectTexts(_ value: Value) {
    switch value {
    case .string(let text):
      if texts.insert(Key(text)).inserted { collectTokens(Array(text.utf8)) }
    case .wtf8(let bytes): collectTokens(bytes)
    case .tuple(let values): for value in values { collectTexts(value) }
    default: break
    }
  }

  private func collectTokens(_ text: [UInt8]) {
    for part in KeyParts.split(text) {
      if case .token(let token) = part { tokens.insert(token) }
    }
  }

  // MARK: - Pseudonyms

  /// Makes the codes, after everything was collected.
  package func prepare() {
    var generator = SystemRandomNumberGenerator()
    codes = TokenCodes.make(tokens.sorted { $0.lexicographicallyPrecedes($1) }, &generator)
    tokens = []
    for key in keys {
      let pseudonym = pseudonym(of: key)
      for part in [\Key.prefix, \Key.group, \Key.text] {
        known[Key(key[keyPath: part])] = pseudonym[keyPath: part]
      }
    }
  }

  package func pseudonym(of key: Key) -> Key {
    if isKeeping { return key }
    // The value of a damaged one need not be that of a key.
    return Key(pseudonym(of: key.value)) ?? Key(pseudonym(of: Array(key.text.utf8)))
  }

  /// The pseudonym of the value of a key. Numbers stay; what cannot be in a key is left out.
  package func pseudonym(of value: Value) -> Value {
    switch value {
    case .string(let text): isKeeping ? value : .string(pseudonym(of: Array(text.utf8)))
    case .wtf8(let bytes): isKeeping ? value : .string(pseudonym(of: bytes))
    case .tuple(let values): .tuple(values.map { pseudonym(of: $0) })
    case .null, .bool, .int, .bigInt, .double: value
    case .bytes, .bytearray, .list, .set, .frozenset, .dict, .tagged: .null
    }
  }

  /// The pseudonym of the text of a key, a part of one, a prefix or a group; `nil` for other text.
  package func pseudonym(ofKnown text: String) -> String? {
    if TokenCodes.isReserved(text) { return text }
    if texts.contains(Key(text)) { return isKeeping ? text : pseudonym(of: Array(text.utf8)) }
    return known[Key(text)]
  }

  private func pseudonym(of text: [UInt8]) -> String {
    var output = ""
    for part in KeyParts.split(text) {
      switch part {
      // A token that was not collected cannot occur; its text must not get through.
      case .token(let token): output += codes[token] ?? "0"
      case .separator(let bytes): output += String(decoding: bytes, as: UTF8.self)
      }
    }
    return output
  }
}
