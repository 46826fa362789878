import CZlib

/// A column of the page's data: numbers with variable lengths, compressed incrementally.
///
/// Only the compressed form is stored, in zlib's format, which browsers can decompress themselves
/// (`DecompressionStream("deflate")`).
final class PageColumn {
  private static let pendingSize = 1 << 16

  let name: String
  private(set) var compressed: [UInt8] = []
  /// The number of bytes before compression.
  private(set) var rawCount = 0
  private var pending: [UInt8] = []

  /// The number of bytes that were added, before compression.
  var byteCount: Int { rawCount + pending.count }

  private let stream: UnsafeMutablePointer<z_stream>
  private var isFinished = false

  init(_ name: String, level: Int32 = 6) {
    self.name = name
    pending.reserveCapacity(Self.pendingSize)
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // Fails only if there is no memory, like everything else.
    deflateInit_(stream, level, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  func byte(_ byte: UInt8) {
    pending.append(byte)
    if pending.count >= Self.pendingSize { compress(Z_NO_FLUSH) }
  }

  /// Seven bits per byte, the lowest first; the highest bit means that more bytes follow.
  func number(_ value: some BinaryInteger) {
    var rest = UInt64(truncatingIfNeeded: value)
    while rest >= 0x80 {
      pending.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    byte(UInt8(truncatingIfNeeded: rest))
  }

  /// A signed number: its sign becomes the lowest bit.
  func signed(_ value: Int64) {
    number(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
  }

  func bytes(_ bytes: some Sequence<UInt8>) {
    pending.append(contentsOf: bytes)
    if pending.count >= Self.pendingSize { compress(Z_NO_FLUSH) }
  }

  func finish() {
    guard !isFinished else { return }
    isFinished = true
    compress(Z_FINISH)
    pending = []
  }

  private func compress(_ flush: Int32) {
    rawCount += pending.count
    pending.withUnsafeMutableBufferPointer { input in
      stream.pointee.next_in = input.baseAddress
      stream.pointee.avail_in = UInt32(input.count)
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.pendingSize) { output in
        repeat {
          stream.pointee.next_out = output.baseAddress
          stream.pointee.avail_out = UInt32(output.count)
          deflate(stream, flush)
          compressed.append(
            contentsOf: UnsafeMutableBufferPointer(
              rebasing: output[..<(output.count - Int(stream.pointee.avail_out))]))
        } while stream.pointee.avail_out == 0
      }
    }
    pending.removeAll(keepingCapacity: true)
  }
}
