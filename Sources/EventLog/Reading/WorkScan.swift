/// What the args of a task that has come to an end tell of the work that was done for it, read
/// without decoding all of them.
package struct WorkScan {
  /// What was done, from when to when in seconds since 1970 UTC.
  package struct Span {
    /// Where its kind lies in the text, without its quotes.
    package var action: Range<Int>
    package var start: Double
    package var stop: Double
    /// Where the address of the worker that data came from lies in the text, without its quotes.
    package var source: Range<Int>?
  }

  package private(set) var nbytes: Int64?
  package private(set) var thread: Int64?
  /// Where the worker's address lies in the text, without its quotes.
  package private(set) var worker: Range<Int>?
  /// Where the name of the result's type lies in the text, without its quotes.
  package private(set) var typename: Range<Int>?
  package private(set) var spans: [Span] = []

  /// - Parameter text: followed by a byte that is no part of a number, as SQLite's text is by a NUL.
  package init(_ text: UnsafeBufferPointer<UInt8>) {
    var scan = JSONScan(text)
    scan.members { name, scan in
      switch name {
      case _ where scan.equals(name, "nbytes"): nbytes = scan.integer()
      case _ where scan.equals(name, "worker"): worker = scan.string()
      case _ where scan.equals(name, "thread"): thread = scan.integer()
      case _ where scan.equals(name, "typename"): typename = scan.string()
      case _ where scan.equals(name, "startstops"): startStops(scan)
      default: break
      }
    }
  }

  /// A list or a tuple; anything else (redacted, capped) has no spans.
  private mutating func startStops(_ scan: JSONScan) {
    var scan = scan
    if scan.take("{") {
      guard let name = scan.string(), scan.equals(name, "$tuple"), scan.take(":") else { return }
    }
    guard scan.take("[") else { return }
    while scan.peek() == UInt8(ascii: "{") {
      span(&scan)
      guard scan.take(",") else { break }
    }
  }

  private mutating func span(_ scan: inout JSONScan) {
    var (action, source): (Range<Int>?, Range<Int>?)
    var (start, stop): (Double?, Double?)
    scan.members { name, scan in
      switch name {
      case _ where scan.equals(name, "action"): action = scan.string()
      case _ where scan.equals(name, "start"): start = scan.number()
      case _ where scan.equals(name, "stop"): stop = scan.number()
      case _ where scan.equals(name, "source"): source = scan.string()
      default: break
      }
    }
    if let action, let start, let stop {
      spans.append(Span(action: action, start: start, stop: stop, source: source))
    }
  }
}
