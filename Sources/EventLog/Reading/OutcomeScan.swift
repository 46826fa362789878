/// What the args of a task that has come to an end tell, read without decoding all of them: size,
/// worker and seconds computed.
struct OutcomeScan {
  private(set) var nbytes: Int64?
  private(set) var computeSeconds = 0.0
  private(set) var hasCompute = false
  /// Whether there is an exception's text, or something in its place.
  private(set) var hasException = false
  /// Seconds of the longest span of the action that was asked for.
  private(set) var longest: Double?
  /// Where the worker's address lies in the text, without its quotes.
  private(set) var worker: Range<Int>?

  /// Whose longest span is looked for.
  enum Action: Sendable {
    case none, any
    /// Its name as it stands in JSON, without the quotes.
    case named([UInt8])
  }

  private let action: Action
  private var scan: JSONScan

  /// - Parameter text: followed by a byte that is no part of a number, as SQLite's text is by a NUL.
  init(_ text: UnsafeBufferPointer<UInt8>, longestOf action: Action = .none) {
    self.action = action
    scan = JSONScan(text)
    guard scan.take("{") else { return }
    repeat {
      guard let name = scan.string(), scan.take(":") else { return }
      switch name {
      case _ where scan.equals(name, "nbytes"): nbytes = scan.integer()
      case _ where scan.equals(name, "worker"): worker = scan.string()
      case _ where scan.equals(name, "exception_text"):
        hasException = scan.peek().map { $0 != UInt8(ascii: "n") } ?? false
      case _ where scan.equals(name, "startstops"): startStops()
      default: break
      }
      scan.skip()
    } while scan.take(",")
  }

  private mutating func startStops() {
    let before = scan.place
    if scan.take("{") {
      guard let name = scan.string(), scan.equals(name, "$tuple"), scan.take(":") else {
        return scan.goBack(to: before)
      }
    }
    guard scan.take("[") else { return scan.goBack(to: before) }
    while scan.peek() == UInt8(ascii: "{") {
      span()
      guard scan.take(",") else { break }
    }
    // The rest is skipped from where the value began.
    scan.goBack(to: before)
  }

  private mutating func span() {
    guard scan.take("{") else { return }
    var name: Range<Int>?
    var (start, stop): (Double?, Double?)
    repeat {
      guard let field = scan.string(), scan.take(":") else { return }
      switch field {
      case _ where scan.equals(field, "action"): name = scan.string()
      case _ where scan.equals(field, "start"): start = scan.number()
      case _ where scan.equals(field, "stop"): stop = scan.number()
      default: break
      }
      scan.skip()
    } while scan.take(",")
    _ = scan.take("}")
    guard let name, let start, let stop else { return }
    if scan.equals(name, "compute") {
      computeSeconds += stop - start
      hasCompute = true
    }
    if isWanted(name) { longest = max(longest ?? -.infinity, stop - start) }
  }

  private func isWanted(_ name: Range<Int>) -> Bool {
    switch action {
    case .none: false
    case .any: true
    case .named(let wanted): scan.text[name].elementsEqual(wanted)
    }
  }
}
