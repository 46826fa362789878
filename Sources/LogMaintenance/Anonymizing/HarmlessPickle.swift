import TaskLogPlugin

/// What stands in a copy for pickles that were removed, where Dask expects one. Each is what
/// `pickle.dumps(…, protocol=4)` returns.
enum HarmlessPickle {
  /// `object`, for the type of a result.
  static let object = global("object")
  /// `Exception("removed")`.
  static let exception = pickle(
    code("builtins") + code("Exception") + [0x93, 0x94] + code("removed") + [0x85, 0x94]
      + Array("R".utf8) + [0x94])
  /// `None`, for a traceback.
  static let none: [UInt8] = [0x80, 0x04] + Array("N.".utf8)

  /// A `Serialize` or `Serialized` of bytes, in the form of another one.
  static func serialized(_ bytes: [UInt8], like other: Value) -> Value {
    guard other["header"] != nil else {
      return .tagged("$serialized", .object(["data": .bytes(bytes)]))
    }
    // https://distributed.dask.org/en/stable/serialization.html
    let header = Value.object([
      "sub-header": .dict([]), "type": .string("bytes"),
      "type-serialized": .bytes(global("bytes")), "serializer": .string("dask"),
      "split-num-sub-frames": .tuple([.int(1)]), "split-offsets": .tuple([.int(0)]),
      "compression": .tuple([.null]), "num-sub-frames": .int(1),
    ])
    return .tagged("$serialized", .object(["header": header, "frames": .list([.bytes(bytes)])]))
  }

  private static func global(_ name: String) -> [UInt8] {
    pickle(code("builtins") + code(name) + [0x93, 0x94])
  }

  /// A short text, and the code that remembers it.
  private static func code(_ text: String) -> [UInt8] {
    [0x8C, UInt8(text.utf8.count)] + Array(text.utf8) + [0x94]
  }

  /// A frame with a length (https://peps.python.org/pep-3154/).
  private static func pickle(_ body: [UInt8]) -> [UInt8] {
    let frame = body + Array(".".utf8)
    return [0x80, 0x04, 0x95, UInt8(frame.count)] + [UInt8](repeating: 0, count: 7) + frame
  }
}
