import Glibc

/// What the args of a task that has come to an end tell, read without decoding all of them: size,
/// worker and seconds computed, and on request each span of work.
///
/// A scan over text in UTF-8 that skips what it is not asked for; where it is no JSON it stops.
package struct OutcomeScan {
  /// What was done for the task, from when to when in seconds since 1970 UTC.
  package struct Span {
    /// Where its kind lies in the text, without its quotes.
    package var action: Range<Int>
    package var start: Double
    package var stop: Double
    /// Where the address of the worker that data came from lies in the text, without its quotes.
    package var source: Range<Int>?
  }

  package private(set) var nbytes: Int64?
  private(set) var computeSeconds = 0.0
  private(set) var hasCompute = false
  package private(set) var hasException = false
  /// Where the worker's address lies in the text, without its quotes.
  package private(set) var worker: Range<Int>?
  /// Where the name of the result's type lies in the text, without its quotes.
  package private(set) var typename: Range<Int>?
  package private(set) var thread: Int64?
  /// Only when they were asked for.
  package private(set) var spans: [Span] = []

  private let keepsSpans: Bool
  private var scan: JSONScan

  /// - Parameter text: followed by a byte that is no part of a number, as SQLite's text is by a NUL.
  package init(_ text: UnsafeBufferPointer<UInt8>, keepsSpans: Bool = false) {
    self.keepsSpans = keepsSpans
    scan = JSONScan(text)
    guard scan.take("{") else { return }
    repeat {
      guard let name = scan.string(), scan.take(":") else { return }
      switch name {
      case _ where scan.equals(name, "nbytes"): nbytes = scan.integer()
      case _ where scan.equals(name, "worker"): worker = scan.string()
      case _ where scan.equals(name, "exception_text"):
        hasException = scan.peek() == UInt8(ascii: "\"")
      case _ where scan.equals(name, "startstops"): startStops()
      case _ where keepsSpans && scan.equals(name, "thread"): thread = scan.integer()
      case _ where keepsSpans && scan.equals(name, "typename"): typename = scan.string()
      default: break
      }
      scan.skip()
    } while scan.take(",")
  }

  // MARK: - Spans

  private mutating func startStops() {
    let before = scan.place
    // The rest is skipped from where the value began.
    defer { scan.place = before }
    if scan.take("{") {
      guard let name = scan.string(), scan.equals(name, "$tuple"), scan.take(":") else { return }
    }
    guard scan.take("[") else { return }
    while scan.peek() == UInt8(ascii: "{") {
      span()
      guard scan.take(",") else { break }
    }
  }

  private mutating func span() {
    guard scan.take("{") else { return }
    var (action, source): (Range<Int>?, Range<Int>?)
    var (start, stop): (Double?, Double?)
    repeat {
      guard let name = scan.string(), scan.take(":") else { return }
      switch name {
      case _ where scan.equals(name, "action"): action = scan.string()
      case _ where scan.equals(name, "start"): start = scan.number()
      case _ where scan.equals(name, "stop"): stop = scan.number()
      case _ where keepsSpans && scan.equals(name, "source"): source = scan.string()
      default: break
      }
      scan.skip()
    } while scan.take(",")
    _ = scan.take("}")
    guard let action, let start, let stop else { return }
    if scan.equals(action, "compute") {
      computeSeconds += stop - start
      hasCompute = true
    }
    if keepsSpans { spans.append(Span(action: action, start: start, stop: stop, source: source)) }
  }
}
