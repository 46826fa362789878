import TaskLogPlugin

/// A 64-bit hash of a key: the same in every process and on every machine, so that it can be stored
/// and compared.
package enum KeyHash {
  package static func hash(of key: Key) -> UInt64 {
    var json = key.typed.isEmpty ? JSONWriter.text(.string(key.text)) : key.typed
    return json.withUTF8 { hash(of: $0) }
  }

  /// - Parameter json: the key as JSON. The hash is FNV-1a
  ///   (http://www.isthe.com/chongo/tech/comp/fnv/) with the bits mixed at the end.
  package static func hash(of json: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var hash = start
    for byte in json { add(byte, to: &hash) }
    return mixed(hash)
  }

  /// The initial value of FNV-1a; `add` continues it byte by byte.
  static let start: UInt64 = 0xCBF2_9CE4_8422_2325

  @inline(__always)
  static func add(_ byte: UInt8, to hash: inout UInt64) {
    hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// Mixes the bits of a number: the final step of SplitMix64.
  package static func mixed(_ value: UInt64) -> UInt64 {
    var value = value
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
