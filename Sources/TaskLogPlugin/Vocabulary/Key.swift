/// The name of a task.
///
/// Keys hash and compare by bytes, never as `String`: Unicode-equivalent texts are different keys.
/// Dask allows numbers and tuples as keys too, so a key is stored twice: as the text for display
/// and filters, and, unless it is just that text, as typed JSON; both together are the identity.
/// The text is Python's `str` of the key; remaining NULs and lone surrogates are escaped as
/// `\u0000` and `\udc80`.
public struct Key: Sendable, Hashable {
  /// One allocation per key, however often it is copied; the hash is computed once.
  @usableFromInline internal final class Storage: Sendable {
    let text: String
    let form: Form
    /// Hash of the text alone: keys that differ only in their type are rare.
    let hash: Int

    init(text: String, form: Form) {
      self.form = form
      self.text = text
      var hasher = Hasher()
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
      hash = hasher.finalize()
    }
  }

  /// The form of a key that is not just its text. The JSON is written on access.
  package enum Form: Sendable {
    case plain
    case typed(String)
    case value(Value)
    /// A tuple of a text and an integer.
    case numbered(String, Int)
  }

  @usableFromInline internal let storage: Storage

  package var form: Form { storage.form }

  /// The text for display and filters. Never contains NUL.
  public var text: String { storage.text }
  /// The key as JSON if it is not just its text, else empty.
  public var typed: String {
    switch storage.form {
    case .plain: ""
    case .typed(let typed): typed
    case .value, .numbered: JSONWriter.text(value)
    }
  }

  /// A key that is text.
  public init(_ string: String) {
    if string.utf8.contains(0) {
      storage = Storage(text: Self.escape(Array(string.utf8)), form: .value(.string(string)))
    } else {
      storage = Storage(text: string, form: .plain)
    }
  }

  /// A key as stored in a log.
  package init(text: String, typed: String) {
    storage = Storage(text: text, form: typed.isEmpty ? .plain : .typed(typed))
  }

  /// The key with this value: text, a number, or a tuple of them; `nil` for any other value.
  public init?(_ value: Value) {
    switch value {
    case .string(let string): self.init(string)
    case .wtf8, .int, .bigInt, .double:
      self.init(displaying: value)
    case .tuple(let elements):
      guard elements.allSatisfy({ Key($0) != nil }) else { return nil }
      self.init(displaying: value)
    default: return nil
    }
  }

  /// A tuple key such as Dask's collections use: `Key("sum-1f2e", 0)` is `('sum-1f2e', 0)`.
  public init(_ name: String, _ index: Int) {
    guard name.utf8.allSatisfy(IndexedKey.isPlain) else {
      self.init(displaying: .tuple([.string(name), .int(Int64(index))]))
      return
    }
    self.init(Storage(text: "('\(name)', \(index))", form: .numbered(name, index)))
  }

  /// A tuple key with two texts: `Key("count", "a.txt")` is `('count', 'a.txt')`.
  public init(_ name: String, _ part: String) {
    self.init(displaying: .tuple([.string(name), .string(part)]))
  }

  /// A key as stored in a log, if it is a tuple of a text and an integer, as nearly all keys are
  /// that are not text; otherwise `nil`. Such a key takes one allocation less, and its group is
  /// known without parsing.
  ///
  /// - Parameter last: shares its name if that is equal.
  package init?(
    text: UnsafeBufferPointer<UInt8>, typed: UnsafeBufferPointer<UInt8>, after last: Key?
  ) {
    var offset = 0
    guard let (name, index) = IndexedKey.scan(typed, &offset), offset == typed.count,
      IndexedKey.isText(text, name, typed)
    else { return nil }
    self.init(
      Storage(
        text: String(decoding: text, as: UTF8.self),
        form: .numbered(IndexedKey.text(of: name, in: typed, like: last?.numberedName), index)))
  }

  /// The same for a tuple in JSON.
  ///
  /// - Parameter offset: where the tuple begins; afterwards where it ends.
  init?(tuple json: UnsafeBufferPointer<UInt8>, at offset: inout Int, after last: Key?) {
    guard let (name, index) = IndexedKey.scan(json, &offset) else { return nil }
    self.init(IndexedKey.text(of: name, in: json, like: last?.numberedName), index)
  }

  private init(displaying value: Value) {
    self.init(Storage(text: Self.display(value), form: .value(value)))
  }

  private init(_ storage: Storage) {
    self.storage = storage
  }

  /// The key as a value, as in a plugin's args.
  public var value: Value {
    switch storage.form {
    case .plain: .string(text)
    case .typed(let typed): (try? JSONReader.value(typed)) ?? .opaque("unreadable")
    case .value(let value): value
    case .numbered(let name, let index): .tuple([.string(name), .int(Int64(index))])
    }
  }

  /// The text of a tuple key of a text and an integer; its prefix and group follow from that alone.
  var numberedName: String? {
    if case .numbered(let name, _) = storage.form { return name }
    return nil
  }

  /// Whether it is a copy of the other key, which is cheaper than testing for equality.
  func isCopy(of other: Key) -> Bool { storage === other.storage }

  @inlinable
  public static func == (a: Key, b: Key) -> Bool {
    a.storage === b.storage || a.isEqual(to: b)
  }

  @usableFromInline
  internal func isEqual(to other: Key) -> Bool {
    let (a, b) = (self, other)
    guard a.storage.hash == b.storage.hash, a.text.sameBytes(as: b.text) else { return false }
    switch (a.storage.form, b.storage.form) {
    case (.plain, .plain): return true
    case (.numbered(let name, let index), .numbered(let other, let otherIndex)):
      return index == otherIndex && name.sameBytes(as: other)
    default: return a.typed.sameBytes(as: b.typed)
    }
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(storage.hash)
  }

  /// The hash is well distributed already, so a dictionary need not hash it again on each access.
  public func _rawHashValue(seed: Int) -> Int { mixedHash(storage.hash, seed: seed) }
}

extension Key: CustomStringConvertible, ExpressibleByStringLiteral {
  public var description: String { text }
  public init(stringLiteral value: String) { self.init(value) }
}

extension Key {
  /// A value as Python's `str` shows it inside a key, on one line without NUL.
  private static func display(_ value: Value, nested: Bool = false) -> String {
    switch value {
    case .string(let text): return nested ? quote(Array(text.utf8)) : escape(Array(text.utf8))
    case .wtf8(let bytes): return nested ? quote(bytes) : escape(bytes)
    case .int(let number): return String(number)
    case .bigInt(let digits): return digits
    case .double(let number): return display(number)
    case .tuple(let elements):
      let inner = elements.map { display($0, nested: true) }
      return "(" + inner.joined(separator: ", ") + (inner.count == 1 ? ",)" : ")")
    default: return JSONWriter.text(value)
    }
  }

  /// Python's `repr` of a float.
  private static func display(_ number: Double) -> String {
    if number.isNaN { return "nan" }
    // Swift changes to the form with an exponent at 2^53, Python at 1e16; between them are only
    // whole numbers.
    if number.magnitude >= 0x1p53, number.magnitude < 1e16 {
      return "\(Int64(saturating: number)).0"
    }
    return number.description
  }

  /// Python's `repr` of a string: single quotes unless it contains only these, and an escape for
  /// every unprintable character.
  private static func quote(_ wtf8: [UInt8]) -> String {
    let quote: Unicode.Scalar =
      wtf8.contains(0x27) && !wtf8.contains(0x22) ? "\"" : "'"
    var output = String(quote)
    // Backslashes first: those of `escape` must not be doubled.
    let escaped = wtf8.flatMap { $0 == 0x5C ? [0x5C, 0x5C] : [$0] }
    for scalar in escape(escaped, nul: "\\x00").unicodeScalars {
      switch scalar {
      case quote: output += "\\" + String(quote)
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case _ where isPrintable(scalar): output.unicodeScalars.append(scalar)
      default:
        let (letter, width) =
          scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
        output += "\\" + letter + scalar.value.hexadecimal(digits: width)
      }
    }
    output.unicodeScalars.append(quote)
    return output
  }

  /// Python's `str.isprintable` of one character.
  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return (0x20..<0x7F).contains(scalar.value) }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
      .paragraphSeparator, .spaceSeparator:
      return false
    default: return true
    }
  }

  /// WTF-8 as text: NUL and lone surrogates become `\u` escapes.
  private static func escape(_ wtf8: [UInt8], nul: String = "\\u0000") -> String {
    var output: [UInt8] = []
    var index = 0
    while index < wtf8.count {
      let byte = wtf8[index]
      if byte == 0 {
        output += Array(nul.utf8)
        index += 1
      } else if byte == 0xED, index + 2 < wtf8.count, wtf8[index + 1] >= 0xA0 {
        let unit =
          UInt16(0xD000) | UInt16(wtf8[index + 1] & 0x3F) << 6 | UInt16(wtf8[index + 2] & 0x3F)
        output += "\\u".utf8
        unit.appendHexadecimal(to: &output)
        index += 3
      } else {
        output.append(byte)
        index += 1
      }
    }
    return String(decoding: output, as: UTF8.self)
  }
}
