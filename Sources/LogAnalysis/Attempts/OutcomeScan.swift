import LogFormat
import TaskLogPlugin

/// What the args of a finished task contain, read without decoding all of them: size, worker and
/// seconds computed, and on request each span of work with the rest about the run. `RunArgs` is the
/// same as values.
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

  // Only if requested.

  package private(set) var spans: [Span] = []
  package private(set) var thread: Int64?
  /// The locations of the name of the result's type, of the exception and of its traceback; see
  /// `recordedText`.
  package private(set) var typename: Range<Int>?
  private(set) var exception: Range<Int>?
  private(set) var traceback: Range<Int>?

  /// The action whose longest span is searched for.
  enum Action: Sendable {
    case none, any
    /// Its name as in JSON, without the quotes.
    case named([UInt8])
  }

  package init(_ text: UnsafeBufferPointer<UInt8>, retainsSpans: Bool = false) {
    self.init(text, longestOf: .none, retainsSpans: retainsSpans)
  }

  /// - Parameter window: cuts the sums and the longest span; `nil` for all of time.
  init(
    _ text: UnsafeBufferPointer<UInt8>, longestOf action: Action, retainsSpans: Bool = false,
    window: TimeWindow? = nil
  ) {
    var scanner = JSONScanner(text)
    scanner.members { name, scanner in
      switch name.count {
      case 6 where scanner.equals(name, "nbytes"): nbytes = scanner.integer()
      case 6 where scanner.equals(name, "worker"): worker = scanner.string()
      case 10 where scanner.equals(name, "startstops"):
        startStops(&scanner, longestOf: action, retainsSpans, window?.seconds)
      case 6 where retainsSpans && scanner.equals(name, "thread"): thread = scanner.integer()
      case 8 where retainsSpans && scanner.equals(name, "typename"): typename = scanner.token()
      case 14 where retainsSpans && scanner.equals(name, "exception_text"):
        exception = scanner.token()
      case 14 where retainsSpans && scanner.equals(name, "traceback_text"):
        traceback = scanner.token()
      default: break
      }
    }
  }

  private mutating func startStops(
    _ scanner: inout JSONScanner, longestOf action: Action, _ retainsSpans: Bool,
    _ window: (start: Double, stop: Double)?
  ) {
    (spans, longest, computeSeconds, hasCompute) = ([], nil, 0, false)
    let isList = scanner.elements { scanner in
      guard let span = Self.span(&scanner, withSource: retainsSpans) else { return }
      if retainsSpans { spans.append(span) }
      var seconds = span.stop - span.start
      if let window {
        guard span.start <= window.stop, span.stop >= window.start else { return }
        seconds = min(span.stop, window.stop) - max(span.start, window.start)
      }
      if scanner.equals(span.action, "compute") {
        computeSeconds += seconds
        hasCompute = true
      }
      if action.includes(scanner[span.action]) {
        longest = max(longest ?? -.infinity, seconds)
      }
    }
    if !isList { (spans, longest, computeSeconds, hasCompute) = ([], nil, 0, false) }
  }

  private static func span(_ scanner: inout JSONScanner, withSource: Bool) -> Span? {
    var (name, source): (Range<Int>?, Range<Int>?)
    var (start, stop): (Double?, Double?)
    scanner.members { field, scanner in
      switch field.count {
      case 6 where scanner.equals(field, "action"): name = scanner.string()
      case 5 where scanner.equals(field, "start"): start = scanner.number()
      case 4 where scanner.equals(field, "stop"): stop = scanner.number()
      case 6 where withSource && scanner.equals(field, "source"): source = scanner.string()
      default: break
      }
    }
    guard let name, let start, let stop else { return nil }
    return Span(action: name, start: start, stop: stop, source: source)
  }
}

extension OutcomeScan.Action {
  func includes(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
    switch self {
    case .none: false
    case .any: true
    case .named(let wanted): name.elementsEqual(wanted)
    }
  }
}

extension OutcomeScan {
  /// The content of a JSON string without its quotes.
  package static func text(_ content: UnsafeBufferPointer<UInt8>) -> String {
    let text = String(decoding: content, as: UTF8.self)
    guard content.contains(UInt8(ascii: "\\")) else { return text }
    return (try? JSONReader.value("\"\(text)\""))?.string ?? text
  }

  /// The text of a value that is mostly a string; `nil` for null. A value that is not kept as plain
  /// text (truncated, redacted) is shown as recorded in the log.
  package static func recordedText(_ json: UnsafeBufferPointer<UInt8>) -> String? {
    switch json.first {
    case UInt8(ascii: "\""): text(UnsafeBufferPointer(rebasing: json.dropFirst().dropLast()))
    case UInt8(ascii: "n"): nil
    default: String(decoding: json, as: UTF8.self)
    }
  }
}
