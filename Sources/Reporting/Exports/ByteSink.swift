/// Buffers bytes and passes them on in large chunks.
final class ByteSink {
  private static let size = 1 << 17

  var bytes: [UInt8] = []
  private let output: ([UInt8]) throws -> Void
  /// The number of bytes passed on so far.
  private(set) var count = 0

  init(_ output: @escaping ([UInt8]) throws -> Void) {
    self.output = output
    bytes.reserveCapacity(Self.size * 2)
  }

  func write(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }

  func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes.append(contentsOf: $0) }
  }

  /// Flushes the buffer if it is large.
  func flushIfLarge() throws {
    if bytes.count >= Self.size { try flush() }
  }

  func flush() throws {
    guard !bytes.isEmpty else { return }
    try output(bytes)
    count += bytes.count
    bytes.removeAll(keepingCapacity: true)
  }
}
