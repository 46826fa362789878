/// The JSON of a value that occurs several times in an event.
struct SharedJSON {
  var value: Value?
  /// The JSON of the value itself.
  var json: [UInt8]
  /// The JSON that is written in its place, once known.
  var reference: [UInt8]?
}

/// Values that occur several times in an event: annotations, which all tasks of a graph may share.
///
/// They are numbered within the event. In a spool the first occurrence is
/// `{"$shared": [number, value]}` and the others are `{"$shared": [number]}`; in a log and in a
/// message each has the value. In a log a value of more than 256 bytes is stored once, as its JSON
/// among the interned bytes: `{"$shared": [number, {"$json": {"$blob": hash}}]}`. Nothing within it
/// is interned separately. A worker of Dask sends large text once per batch: as its JSON,
/// `{"$json": text}`, and in later events as the hash of that, `{"$same": hash}`.
extension JSONWriter {
  private static let longestInPlace = 256

  /// Forgets the shared values of the previous event.
  package mutating func forgetShared() {
    if !shared.isEmpty { shared.removeAll() }
  }

  /// Stores bytes elsewhere and returns their hash; `nil` if they are kept in place.
  func interned(_ bytes: UnsafeRawBufferPointer) throws -> String? {
    sharedDepth > 0 ? nil : try intern?(bytes)
  }

  /// - Parameter parts: the list in `$shared`.
  /// - Returns: false if it is invalid.
  /// - Throws: the errors of the interning function.
  mutating func writeShared(_ parts: [Value], _ depth: Int) throws -> Bool {
    guard case .int(let number)? = parts.first, parts.count <= 2 else { return false }
    guard parts.count == 2 else { return try writeShared(number) }
    if shared[number]?.value != parts[1] {
      try defineShared(number, parts[1]) { try $0.write(parts[1], depth: depth + 1) }
    }
    return try writeShared(number)
  }

  /// Defines the value of a number from here on.
  ///
  /// - Throws: the errors of the body, which writes the value.
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

  /// Defines the value of a number by the hash of its JSON, which an earlier event has brought.
  ///
  /// - Parameter hash: the SHA-256 of the JSON.
  /// - Throws: the errors of `isStored`.
  package mutating func defineShared(_ number: Int64, hash: String) throws {
    guard try isStored?(hash) == true else {
      return try defineShared(number) { try $0.write(.opaque("its text is not in this log")) }
    }
    let start = output.count
    defer { truncate(to: start) }
    writeShared(number) { $0.writeStored(hash) }
    shared[number] = SharedJSON(json: [], reference: Array(output[start...]))
  }

  /// Writes a value that has been defined.
  ///
  /// - Returns: false if the number is undefined.
  /// - Throws: the errors of the interning function.
  package mutating func writeShared(_ number: Int64) throws -> Bool {
    guard let entry = shared[number] else { return false }
    if sharedDepth > 0 {
      writeShared(number) { $0.raw(entry.json) }
    } else if let reference = entry.reference {
      raw(reference)
    } else {
      let start = output.count
      let hash =
        entry.json.count > Self.longestInPlace
        ? try entry.json.withUnsafeBytes { try intern?($0) } : nil
      writeShared(number) { writer in
        guard let hash else { return writer.raw(entry.json) }
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
