/// The JSON of a value that occurs several times in an event.
struct SharedJSON {
  var value: Value?
  /// The value itself.
  var json: [UInt8]
  /// What is written in its place, once that is known.
  var reference: [UInt8]?
}

/// Values that occur several times in an event: annotations, which all tasks of a graph may have.
///
/// They have numbers within the event. In a spool the first occurrence is
/// `{"$shared": [number, value]}` and the others are `{"$shared": [number]}`; in a log and in a message
/// each says what it is. In a log one of more than 256 bytes is kept once, as its JSON among the
/// interned bytes: `{"$shared": [number, {"$json": {"$blob": hash}}]}`. Nothing within it is interned
/// for itself. A worker of Dask sends large text once a batch: as its JSON, `{"$json": text}`, and in
/// later events as the hash of that, `{"$same": hash}`.
extension JSONWriter {
  private static let longestInPlace = 256

  /// The next event has other values.
  package mutating func forgetShared() {
    if !shared.isEmpty { shared.removeAll() }
  }

  /// The hash of bytes that are kept elsewhere.
  func interned(_ bytes: UnsafeRawBufferPointer) throws -> String? {
    sharedDepth > 0 ? nil : try intern?(bytes)
  }

  /// - Parameter parts: what stands behind `$shared`.
  /// - Returns: false if it is nothing that can be understood.
  /// - Throws: what the interning function throws.
  mutating func writeShared(_ parts: [Value], _ depth: Int) throws -> Bool {
    guard case .int(let number)? = parts.first, parts.count <= 2 else { return false }
    guard parts.count == 2 else { return try writeShared(number) }
    if shared[number]?.value != parts[1] {
      try defineShared(number, parts[1]) { try $0.write(parts[1], depth: depth + 1) }
    }
    return try writeShared(number)
  }

  /// Says what a number stands for from here on.
  ///
  /// - Throws: what the body throws, which writes it.
  package mutating func defineShared(
    _ number: Int64, _ value: Value? = nil, _ write: (inout JSONWriter) throws -> Void
  ) throws {
    let start = output.count
    sharedDepth += 1
    defer {
      sharedDepth -= 1
      truncate(to: start)
    }
    try write(&self)
    shared[number] = SharedJSON(value: value, json: Array(output[start...]))
  }

  /// Says that a number stands for a value whose JSON an earlier event has brought.
  ///
  /// - Parameter hash: the SHA-256 of the JSON.
  /// - Throws: what `isStored` throws.
  package mutating func defineShared(_ number: Int64, hash: String) throws {
    guard try isStored?(hash) == true else {
      return try defineShared(number) { try $0.write(.opaque("its text is not in this log")) }
    }
    let start = output.count
    defer { truncate(to: start) }
    writeShared(number) { $0.writeStored(hash) }
    shared[number] = SharedJSON(json: [], reference: Array(output[start...]))
  }

  /// Writes what has been defined.
  ///
  /// - Returns: false if the number stands for nothing.
  /// - Throws: what the interning function throws.
  package mutating func writeShared(_ number: Int64) throws -> Bool {
    guard let known = shared[number] else { return false }
    if sharedDepth > 0 {
      writeShared(number) { $0.raw(known.json) }
    } else if let reference = known.reference {
      raw(reference)
    } else {
      let start = output.count
      let hash =
        known.json.count > Self.longestInPlace
        ? try known.json.withUnsafeBytes { try intern?($0) } : nil
      writeShared(number) { writer in
        guard let hash else { return writer.raw(known.json) }
        writer.writeStored(hash)
      }
      shared[number]?.reference = Array(output[start...])
    }
    return true
  }

  private mutating func writeStored(_ hash: String) {
    raw("{\"$json\":{\"$blob\":")
    write(string: hash)
    raw("}}")
  }

  private mutating func writeShared(_ number: Int64, _ value: (inout JSONWriter) -> Void) {
    raw("{\"$shared\":[")
    write(int: number)
    raw(",")
    value(&self)
    raw("]}")
  }
}
