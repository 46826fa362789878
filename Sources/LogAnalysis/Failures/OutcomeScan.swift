import LogFormat

/// What the args of a finished task contain, read without decoding all of them: size, worker and
/// seconds computed, and on request each span of work.
package struct OutcomeScan {
  /// A span of work for the task, with start and end in seconds since 1970 UTC.
  package struct Span {
    /// The location of its kind in the text, without its quotes.
    package var action: Range<Int>
    package var start: Double
    package var stop: Double
    /// The location of the address of the worker that data came from, without its quotes.
    package var source: Range<Int>?
  }

  package private(set) var nbytes: Int64?
  private(set) var computeSeconds = 0.0
  private(set) var hasCompute = false
  /// Seconds of the longest span of the requested action.
  private(set) var longest: Double?
  /// The location of the worker's address in the text, without its quotes.
  package private(set) var worker: Range<Int>?
  /// The location of the name of the result's type in the text, without its quotes.
  package private(set) var typename: Range<Int>?
  package private(set) var thread: Int64?
  /// Only if requested.
  package private(set) var spans: [Span] = []

  /// The action whose longest span is searched for.
  enum Action: Sendable {
    case none, any
    /// Its name as in JSON, without the quotes.
    case named([UInt8])
  }

  private let action: Action
  private let retainsSpans: Bool
  /// Cuts the sums and the longest span, in seconds since 1970 UTC; `nil` for all of time.
  private let window: (start: Double, stop: Double)?
  private var scan: JSONScan

  /// - Parameter text: followed by a byte that is not part of a number, such as the NUL of SQLite's
  ///   text.
  package init(_ text: UnsafeBufferPointer<UInt8>, retainsSpans: Bool = false) {
    self.init(text, longestOf: .none, retainsSpans: retainsSpans)
  }

  /// - Parameter text: as above.
  init(
    _ text: UnsafeBufferPointer<UInt8>, longestOf action: Action, retainsSpans: Bool = false,
    window: TimeWindow? = nil
  ) {
    self.action = action
    self.window = window?.seconds
    self.retainsSpans = retainsSpans
    scan = JSONScan(text)
    guard scan.take("{") else { return }
    repeat {
      guard let name = scan.string(), scan.take(":") else { return }
      switch name {
      case _ where scan.equals(name, "nbytes"): nbytes = scan.integer()
      case _ where scan.equals(name, "worker"): worker = scan.string()
      case _ where scan.equals(name, "startstops"): startStops()
      case _ where retainsSpans && scan.equals(name, "thread"): thread = scan.integer()
      case _ where retainsSpans && scan.equals(name, "typename"): typename = scan.string()
      default: break
      }
      scan.skip()
    } while scan.take(",")
  }

  private mutating func startStops() {
    let before = scan.place
    if scan.take("{") {
      guard let name = scan.string(), scan.equals(name, "$tuple"), scan.take(":") else {
        return scan.rewind(to: before)
      }
    }
    guard scan.take("[") else { return scan.rewind(to: before) }
    while scan.peek() == UInt8(ascii: "{") {
      span()
      guard scan.take(",") else { break }
    }
    // The rest is skipped from the start of the value.
    scan.rewind(to: before)
  }

  private mutating func span() {
    guard scan.take("{") else { return }
    var (name, source): (Range<Int>?, Range<Int>?)
    var (start, stop): (Double?, Double?)
    repeat {
      guard let field = scan.string(), scan.take(":") else { return }
      switch field {
      case _ where scan.equals(field, "action"): name = scan.string()
      case _ where scan.equals(field, "start"): start = scan.number()
      case _ where scan.equals(field, "stop"): stop = scan.number()
      case _ where retainsSpans && scan.equals(field, "source"): source = scan.string()
      default: break
      }
      scan.skip()
    } while scan.take(",")
    _ = scan.take("}")
    guard let name, let start, let stop else { return }
    if retainsSpans { spans.append(Span(action: name, start: start, stop: stop, source: source)) }
    var seconds = stop - start
    if let window {
      guard start <= window.stop, stop >= window.start else { return }
      seconds = min(stop, window.stop) - max(start, window.start)
    }
    if scan.equals(name, "compute") {
      computeSeconds += seconds
      hasCompute = true
    }
    if isWanted(name) { longest = max(longest ?? -.infinity, seconds) }
  }

  private func isWanted(_ name: Range<Int>) -> Bool {
    switch action {
    case .none: false
    case .any: true
    case .named(let wanted): scan.text[name].elementsEqual(wanted)
    }
  }
}
