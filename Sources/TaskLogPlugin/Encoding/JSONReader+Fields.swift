/// Reading of expected structures: field by field, without values in between.
///
/// A replay reads the args and the snapshot of every event, and making values of them would mostly
/// create objects that are thrown away. Text that our own writers would not write, and text that
/// only a value can represent, throws: the caller then reads it again, as a value. So this is only
/// a faster path to the single meaning of each text. Of several fields with the same name, which no
/// writer produces, the last counts on both paths, as it does in Python and JavaScript.
extension JSONReader {
  /// The name of a field, as it is in the text.
  struct Name {
    fileprivate let bytes: UnsafeBufferPointer<UInt8>

    static func ~= (text: StaticString, name: Name) -> Bool {
      guard text.utf8CodeUnitCount == name.bytes.count else { return false }
      let start = text.utf8Start
      for index in 0..<name.bytes.count where start[index] != name.bytes[index] { return false }
      return true
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  /// The result of a body on a text; `nil` if the text must be read as a value.
  static func read<Result>(
    _ json: EncodedJSON, _ body: (inout JSONReader) throws(JSONError) -> Result
  ) -> Result? {
    var text = json.text
    return text.withUTF8 { bytes in
      var reader = JSONReader(bytes, blobs: json.blobs)
      guard let result = try? body(&reader) else { return nil }
      reader.skipSpace()
      return reader.position == bytes.count ? result : nil
    }
  }

  func needsGenericDecode() -> JSONError { error("must be read as a value") }

  /// The fields of an object in order; the body must read or skip each.
  mutating func fields(
    _ body: (inout JSONReader, Name) throws(JSONError) -> Void
  ) throws(JSONError) {
    guard try peek() == UInt8(ascii: "{") else { throw needsGenericDecode() }
    position += 1
    if try peek() == UInt8(ascii: "}") {
      position += 1
      return
    }
    while true {
      guard try peek() == UInt8(ascii: "\"") else { throw needsGenericDecode() }
      position += 1
      let start = position
      while position < bytes.count, bytes[position] != 0x22, bytes[position] != 0x5C,
        bytes[position] >= 0x20
      {
        position += 1
      }
      // A name with `$` may change the meaning of the object.
      guard position < bytes.count, bytes[position] == 0x22, position > start,
        bytes[start] != UInt8(ascii: "$")
      else { throw needsGenericDecode() }
      let name = Name(bytes: UnsafeBufferPointer(rebasing: bytes[start..<position]))
      position += 1
      guard try peek() == UInt8(ascii: ":") else { throw needsGenericDecode() }
      position += 1
      try body(&self, name)
      switch try peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return
      default: throw needsGenericDecode()
      }
    }
  }

  /// The elements of a list, tuple or set; the body must read or skip each.
  mutating func elements(
    _ body: (inout JSONReader) throws(JSONError) -> Void
  ) throws(JSONError) {
    var isTagged = try skip(tag: "$tuple")
    if !isTagged { isTagged = try skip(tag: "$set") }
    if !isTagged { isTagged = try skip(tag: "$frozenset") }
    try list(body)
    if isTagged { try endTag() }
  }

  /// The keys and values of a dictionary whose keys are usually keys of tasks; the body must read
  /// the value.
  mutating func entries(
    _ body: (inout JSONReader, Key) throws(JSONError) -> Void
  ) throws(JSONError) {
    var last: Key?
    guard try skip(tag: "$map") else {
      return try fields { (reader, name) throws(JSONError) in try body(&reader, Key(name.text)) }
    }
    try list { reader throws(JSONError) in
      guard try reader.peek() == UInt8(ascii: "[") else { throw reader.needsGenericDecode() }
      reader.position += 1
      guard let key = try reader.key(after: last) else { throw reader.needsGenericDecode() }
      last = key
      guard try reader.peek() == UInt8(ascii: ",") else { throw reader.needsGenericDecode() }
      reader.position += 1
      try body(&reader, key)
      guard try reader.peek() == UInt8(ascii: "]") else { throw reader.needsGenericDecode() }
      reader.position += 1
    }
    try endTag()
  }

  private mutating func list(
    _ body: (inout JSONReader) throws(JSONError) -> Void
  ) throws(JSONError) {
    guard try peek() == UInt8(ascii: "[") else { throw needsGenericDecode() }
    position += 1
    if try peek() == UInt8(ascii: "]") {
      position += 1
      return
    }
    while true {
      try body(&self)
      switch try peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return
      default: throw needsGenericDecode()
      }
    }
  }

  /// Skips the beginning of `{"$tag":…}`, exactly as our writers write it.
  private mutating func skip(tag: StaticString) throws(JSONError) -> Bool {
    guard try peek() == UInt8(ascii: "{") else { return false }
    let (start, count) = (position + 2, tag.utf8CodeUnitCount)
    guard start + count + 1 < bytes.count, bytes[start - 1] == 0x22,
      bytes[start + count] == 0x22, bytes[start + count + 1] == UInt8(ascii: ":")
    else { return false }
    for index in 0..<count where bytes[start + index] != tag.utf8Start[index] { return false }
    position = start + count + 2
    return true
  }

  private mutating func endTag() throws(JSONError) {
    guard try peek() == UInt8(ascii: "}") else { throw needsGenericDecode() }
    position += 1
  }

  // MARK: - Values

  /// Any value, as a value.
  mutating func anyValue() throws(JSONError) -> Value { try value(depth: 1) }

  /// Reads a text; `nil` if there is another value.
  ///
  /// - Parameter expected: returned if the text is equal to it.
  mutating func text(like expected: String? = nil) throws(JSONError) -> String? {
    guard try peek() == UInt8(ascii: "\"") else {
      try skipValue()
      return nil
    }
    if let expected {
      let end = position + 1 + expected.utf8.count
      if end < bytes.count, bytes[end] == 0x22,
        expected.hasBytes(UnsafeBufferPointer(rebasing: bytes[(position + 1)..<end])),
        !expected.utf8.contains(0x5C)
      {
        position = end + 1
        return expected
      }
    }
    return try string()
  }

  /// Reads the texts of a list; other elements are skipped.
  mutating func texts(like expected: String? = nil) throws(JSONError) -> [String] {
    var texts: [String] = []
    try elements { reader throws(JSONError) in
      if let text = try reader.text(like: texts.last ?? expected) { texts.append(text) }
    }
    return texts
  }

  /// Reads an integer of up to 64 bits; `nil` if there is another value.
  mutating func integer() throws(JSONError) -> Int64? { try numeric()?.int }

  /// Reads a number; `nil` if there is another value.
  mutating func double() throws(JSONError) -> Double? { try numeric()?.number }

  private mutating func numeric() throws(JSONError) -> Value? {
    switch try peek() {
    case UInt8(ascii: "-"), 0x30...0x39: return try number()
    // Some numbers are written as objects.
    case UInt8(ascii: "{"): return try anyValue()
    default:
      try skipValue()
      return nil
    }
  }

  /// Reads the key of a task; `nil` if there is another value.
  ///
  /// - Parameter last: shares its name if that is equal.
  mutating func key(after last: Key? = nil) throws(JSONError) -> Key? {
    if try peek() == UInt8(ascii: "{"), let key = Key(tuple: bytes, at: &position, after: last) {
      return key
    }
    return Key(try anyValue())
  }

  /// Reads the keys of a list, tuple or set; other elements are skipped.
  mutating func keys() throws(JSONError) -> [Key] {
    var keys: [Key] = []
    try elements { reader throws(JSONError) in
      if let key = try reader.key(after: keys.last) { keys.append(key) }
    }
    return keys
  }

  /// Reads a priority; `nil` if there is another value.
  mutating func priority() throws(JSONError) -> Priority? {
    let start = position
    var priority = Priority([])
    var isComplete = true
    try elements { reader throws(JSONError) in
      guard let number = try reader.double() else {
        isComplete = false
        return
      }
      priority = priority.appending(number)
    }
    if isComplete { return priority }
    position = start
    return Priority(try anyValue())
  }

  mutating func startStops() throws(JSONError) -> [StartStop] {
    var spans: [StartStop] = []
    try elements { reader throws(JSONError) in
      var (action, source): (String?, String?)
      var (start, stop): (Double?, Double?)
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case SpanField.action: action = try reader.text()
        case SpanField.start: start = try reader.double()
        case SpanField.stop: stop = try reader.double()
        case SpanField.source: source = try reader.text()
        default: try reader.skipValue()
        }
      }
      if let action, let start, let stop {
        spans.append(StartStop(action: action, start: start, stop: stop, source: source))
      }
    }
    return spans
  }

  /// Skips a value, which must be valid.
  mutating func skipValue(depth: Int = 1) throws(JSONError) {
    guard depth < Self.maximumDepth else { throw error("nested too deeply") }
    switch try peek() {
    case UInt8(ascii: "{"):
      position += 1
      if try peek() == UInt8(ascii: "}") {
        position += 1
        return
      }
      while true {
        try skipString()
        guard try peek() == UInt8(ascii: ":") else { throw needsGenericDecode() }
        position += 1
        try skipValue(depth: depth + 1)
        let next = try peek()
        position += 1
        if next == UInt8(ascii: "}") { return }
        guard next == UInt8(ascii: ",") else { throw needsGenericDecode() }
      }
    case UInt8(ascii: "["):
      position += 1
      if try peek() == UInt8(ascii: "]") {
        position += 1
        return
      }
      while true {
        try skipValue(depth: depth + 1)
        let next = try peek()
        position += 1
        if next == UInt8(ascii: "]") { return }
        guard next == UInt8(ascii: ",") else { throw needsGenericDecode() }
      }
    case UInt8(ascii: "\""): try skipString()
    case UInt8(ascii: "t"): try expect("true")
    case UInt8(ascii: "f"): try expect("false")
    case UInt8(ascii: "n"): try expect("null")
    default: _ = try number()
    }
  }

  private mutating func skipString() throws(JSONError) {
    guard try peek() == UInt8(ascii: "\"") else { throw needsGenericDecode() }
    let start = position
    position += 1
    while position < bytes.count, bytes[position] != 0x22, bytes[position] != 0x5C,
      bytes[position] >= 0x20
    {
      position += 1
    }
    guard position < bytes.count else { throw needsGenericDecode() }
    if bytes[position] == 0x22 {
      position += 1
    } else {
      // Its escapes must be checked.
      position = start
      _ = try string()
    }
  }
}
