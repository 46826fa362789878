import Glibc

/// What the args of a task that has come to an end tell, read without decoding all of them: size,
/// worker and seconds computed.
///
/// A scan over text in UTF-8 that skips what it is not asked for; where it is no JSON it stops.
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

  private let text: UnsafeBufferPointer<UInt8>
  private let action: Action
  private var place = 0

  /// - Parameter text: followed by a byte that is no part of a number, as SQLite's text is by a NUL.
  init(_ text: UnsafeBufferPointer<UInt8>, longestOf action: Action = .none) {
    self.text = text
    self.action = action
    guard take("{") else { return }
    repeat {
      guard let name = string(), take(":") else { return }
      switch name {
      case _ where equals(name, "nbytes"): nbytes = integer()
      case _ where equals(name, "worker"): worker = string()
      case _ where equals(name, "exception_text"):
        hasException = peek().map { $0 != UInt8(ascii: "n") } ?? false
      case _ where equals(name, "startstops"): startStops()
      default: break
      }
      skip()
    } while take(",")
  }

  // MARK: - Spans

  private mutating func startStops() {
    let before = place
    if take("{") {
      guard let name = string(), equals(name, "$tuple"), take(":") else {
        place = before
        return
      }
    }
    guard take("[") else {
      place = before
      return
    }
    while peek() == UInt8(ascii: "{") {
      span()
      guard take(",") else { break }
    }
    // The rest is skipped from where the value began.
    place = before
  }

  private mutating func span() {
    guard take("{") else { return }
    var name: Range<Int>?
    var (start, stop): (Double?, Double?)
    repeat {
      guard let field = string(), take(":") else { return }
      switch field {
      case _ where equals(field, "action"): name = string()
      case _ where equals(field, "start"): start = number()
      case _ where equals(field, "stop"): stop = number()
      default: break
      }
      skip()
    } while take(",")
    _ = take("}")
    guard let name, let start, let stop else { return }
    if equals(name, "compute") {
      computeSeconds += stop - start
      hasCompute = true
    }
    if isWanted(name) { longest = max(longest ?? -.infinity, stop - start) }
  }

  private func isWanted(_ name: Range<Int>) -> Bool {
    switch action {
    case .none: false
    case .any: true
    case .named(let wanted): text[name].elementsEqual(wanted)
    }
  }

  // MARK: - JSON

  private func peek() -> UInt8? { place < text.count ? text[place] : nil }

  private mutating func skipSpaces() {
    while let byte = peek(), byte == 0x20 || (0x09...0x0D).contains(byte) { place += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpaces()
    guard peek() == UInt8(character.value) else { return false }
    place += 1
    skipSpaces()
    return true
  }

  /// The content of a string, with its escapes as they stand.
  private mutating func string() -> Range<Int>? {
    guard peek() == UInt8(ascii: "\"") else { return nil }
    place += 1
    let start = place
    while let byte = peek(), byte != UInt8(ascii: "\"") {
      place += byte == UInt8(ascii: "\\") ? 2 : 1
    }
    guard place < text.count else { return nil }
    place += 1
    return start..<place - 1
  }

  private func equals(_ range: Range<Int>, _ name: StaticString) -> Bool {
    guard range.count == name.utf8CodeUnitCount, let base = text.baseAddress else { return false }
    return memcmp(base + range.lowerBound, name.utf8Start, range.count) == 0
  }

  private func number() -> Double? {
    guard let byte = peek(), byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte),
      let base = text.baseAddress
    else { return nil }
    return (base + place).withMemoryRebound(to: CChar.self, capacity: text.count - place) {
      strtod($0, nil)
    }
  }

  private func integer() -> Int64? {
    var value: Int64 = 0
    var index = place
    while index < text.count, (0x30...0x39).contains(text[index]) {
      let (product, hasOverflowed) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = product.addingReportingOverflow(Int64(text[index] - 0x30))
      if hasOverflowed || overflows { return nil }
      value = sum
      index += 1
    }
    return index > place ? value : nil
  }

  /// Goes behind the value at hand, or what is left of it.
  private mutating func skip() {
    var depth = 0
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        if string() == nil { place = text.count }
        continue
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return }
        depth -= 1
      case UInt8(ascii: ",") where depth == 0: return
      default: break
      }
      place += 1
    }
  }
}
