/// The keys of a graph as it was submitted, and what each needs, read without decoding all of it: a
/// graph may have a million tasks.
package struct GraphScan {
  private var scan: JSONScan
  private var isAtEnd = false
  private let text: UnsafeBufferPointer<UInt8>

  /// - Parameter text: a snapshot in JSON.
  package init(_ text: UnsafeBufferPointer<UInt8>) {
    self.text = text
    scan = JSONScan(text)
    guard scan.take("{"), let name = scan.string(), scan.equals(name, "graph"), scan.take(":"),
      scan.take("[")
    else {
      isAtEnd = true
      return
    }
  }

  /// The next task: its key and those of its dependencies, as JSON.
  package mutating func next(
    _ dependencies: inout [UnsafeBufferPointer<UInt8>]
  ) -> UnsafeBufferPointer<UInt8>? {
    dependencies.removeAll(keepingCapacity: true)
    guard !isAtEnd, scan.take("{") else { return nil }
    var key: UnsafeBufferPointer<UInt8>?
    repeat {
      guard let name = scan.string(), scan.take(":") else {
        isAtEnd = true
        return nil
      }
      if scan.equals(name, "key") {
        key = value()
      } else if scan.equals(name, "dependencies"), scan.take("[") {
        while let byte = scan.peek(), byte != UInt8(ascii: "]") {
          dependencies.append(value())
          guard scan.take(",") else { break }
        }
        _ = scan.take("]")
      } else {
        scan.skip()
      }
    } while scan.take(",")
    isAtEnd = !(scan.take("}") && scan.take(","))
    return key
  }

  private mutating func value() -> UnsafeBufferPointer<UInt8> {
    let start = scan.place
    scan.skip()
    return UnsafeBufferPointer(rebasing: text[start..<scan.place])
  }
}
