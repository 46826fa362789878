/// Anything that a hook can be called with, without loss.
///
/// The model is Python's, because Dask's args are: lists and tuples differ, so do `1`, `1.0` and
/// `True`, dictionaries are ordered and may have keys of any type. Two values are equal if they are
/// the same bit for bit: text compares by its bytes, `NaN` equals itself, `0.0` and `-0.0` do not.
public enum Value: Sendable {
  case null
  case bool(Bool)
  case int(Int64)
  /// An integer beyond 64 bits, as canonical decimal digits.
  case bigInt(String)
  case double(Double)
  case string(String)
  /// Text with lone surrogates, in WTF-8.
  case wtf8([UInt8])
  case bytes([UInt8])
  case bytearray([UInt8])
  case list([Value])
  case tuple([Value])
  case set([Value])
  case frozenset([Value])
  case dict([Entry])
  /// A value with a name that begins with `$`: Dask's wrappers (`$serialized`), an object that only
  /// Python can rebuild (`$python`), a value that was not recorded (`$opaque`), or a kind that this
  /// version does not know.
  indirect case tagged(String, Value)

  /// One key and its value in a dictionary.
  public struct Entry: Sendable, Hashable {
    public var key: Value
    public var value: Value

    public init(_ key: Value, _ value: Value) {
      self.key = key
      self.value = value
    }
  }
}

extension Value {
  /// A value that was not recorded, and why (`redacted`, `capped`, `too deep`, `unreadable`).
  package static func opaque(_ reason: String) -> Value {
    .tagged("$opaque", .string(reason))
  }

  /// Whether a replay cannot reproduce what the live plugin received here.
  package var isOpaque: Bool {
    switch self {
    case .tagged("$python", let object):
      if case .bytes? = object["pickle"] { return false }
      return object["state"] == nil
    case .tagged("$serialized", _): return false
    case .tagged: return true
    default: return false
    }
  }

  /// A dictionary with text keys.
  public static func object(_ entries: KeyValuePairs<String, Value>) -> Value {
    .dict(entries.map { Entry(.string($0.key), $0.value) })
  }

  /// The value of the last entry with this text as its key.
  public subscript(name: String) -> Value? {
    guard case .dict(let entries) = self else { return nil }
    for entry in entries.reversed() {
      if case .string(let key) = entry.key, key.sameBytes(as: name) { return entry.value }
    }
    return nil
  }

  /// The truth value, if this is one.
  public var bool: Bool? {
    if case .bool(let value) = self { return value }
    return nil
  }

  /// The integer, if this is one of up to 64 bits.
  public var int: Int64? {
    if case .int(let value) = self { return value }
    return nil
  }

  /// The number as a `Double`, if this is an integer of up to 64 bits or a float.
  public var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// The text, if this is text without lone surrogates.
  public var string: String? {
    if case .string(let value) = self { return value }
    return nil
  }

  /// The elements of a list, tuple, set or frozenset.
  public var elements: [Value]? {
    switch self {
    case .list(let values), .tuple(let values), .set(let values), .frozenset(let values): values
    default: nil
    }
  }
}

extension String {
  /// Whether both hold the same bytes. `==` treats canonically equivalent text as equal; keys and
  /// recorded text must not.
  @inlinable
  public func sameBytes(as other: String) -> Bool {
    let length = utf8.count
    guard length == other.utf8.count else { return false }
    let isEqual = utf8.withContiguousStorageIfAvailable { own in
      other.utf8.withContiguousStorageIfAvailable { others in
        for index in 0..<length where own[index] != others[index] { return false }
        return true
      }
    }
    return (isEqual ?? nil) ?? utf8.elementsEqual(other.utf8)
  }
}

extension Value: Hashable {
  public static func == (a: Value, b: Value) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.bigInt(let a), .bigInt(let b)): a.sameBytes(as: b)
    case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern
    case (.string(let a), .string(let b)): a.sameBytes(as: b)
    case (.wtf8(let a), .wtf8(let b)), (.bytes(let a), .bytes(let b)),
      (.bytearray(let a), .bytearray(let b)):
      a == b
    case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)), (.set(let a), .set(let b)),
      (.frozenset(let a), .frozenset(let b)):
      a == b
    case (.dict(let a), .dict(let b)): a == b
    case (.tagged(let a, let v), .tagged(let b, let w)): a.sameBytes(as: b) && v == w
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .null: hasher.combine(0)
    case .bool(let value): hasher.combine(value)
    case .int(let value): hasher.combine(value)
    case .double(let value): hasher.combine(value.bitPattern)
    case .bigInt(let text), .string(let text):
      for byte in text.utf8 { hasher.combine(byte) }
    case .wtf8(let bytes), .bytes(let bytes), .bytearray(let bytes): hasher.combine(bytes)
    case .list(let values), .tuple(let values), .set(let values), .frozenset(let values):
      hasher.combine(values)
    case .dict(let entries): hasher.combine(entries)
    case .tagged(let name, let value):
      hasher.combine(name.utf8.count)
      hasher.combine(value)
    }
  }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
  public init(arrayLiteral elements: Value...) { self = .list(elements) }
}

extension Value: CustomStringConvertible {
  /// The lossless JSON of the log.
  public var description: String { JSONWriter.text(self) }
}
