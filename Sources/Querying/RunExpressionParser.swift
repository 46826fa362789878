import EventLog
import LogAnalysis
import LogFormat
import LogMaintenance

/// Parses `RunExpression`.
struct RunExpressionParser {
  private typealias Condition = RunExpression.Condition

  private enum Token: Equatable {
    case word(String)
    /// A text in quotes.
    case quoted(String)
    case comparison(RunExpression.Comparison)
    case open, close
  }

  /// So many conditions may be in parentheses or negated within each other.
  private static let deepest = 100

  private let text: String
  private let now: Int64
  private var rest: Substring
  private var depth = 0
  /// The kind of job that was named.
  private(set) var kind: Job.Kind?

  init(_ text: String, now: Int64) {
    (self.text, self.now, rest) = (text, now, text[...])
  }

  private func error(_ reason: String) -> RunExpressionError {
    RunExpressionError(text: text, reason: reason)
  }

  /// The condition, and how many of the first or last runs count.
  mutating func parse() throws(RunExpressionError) -> (
    RunExpression.Condition, first: Int?, last: Int?
  ) {
    var condition = Condition.all([])
    if try !isAtEnd(), try limit() == nil { condition = try either() }
    var (first, last): (Int?, Int?)
    if let limit = try limit() {
      _ = try next()
      guard case .word(let number)? = try next(), let count = Int(number), count > 0 else {
        throw error("expected a number after '\(limit)'")
      }
      if limit == "first" { first = count } else { last = count }
    }
    if let token = try next() { throw error("unexpected \(Self.name(token))") }
    return (condition, first, last)
  }

  private mutating func isAtEnd() throws(RunExpressionError) -> Bool { try peek() == nil }

  private mutating func limit() throws(RunExpressionError) -> String? {
    guard case .word(let word)? = try peek(), word == "first" || word == "last" else { return nil }
    return word
  }

  private mutating func either() throws(RunExpressionError) -> RunExpression.Condition {
    var conditions = [try both()]
    while try takes("or") { conditions.append(try both()) }
    return .any(conditions)
  }

  private mutating func both() throws(RunExpressionError) -> RunExpression.Condition {
    var conditions = [try one()]
    while try takes("and") { conditions.append(try one()) }
    return .all(conditions)
  }

  private mutating func one() throws(RunExpressionError) -> RunExpression.Condition {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw error("nested too deeply") }
    if try takes("not") { return .not(try one()) }
    guard let token = try next() else { throw error("a condition is missing at its end") }
    switch token {
    case .open:
      let condition = try either()
      guard try next() == .close else { throw error("expected ')'") }
      return condition
    case .word(let name): return try test(name)
    default: throw error("unexpected \(Self.name(token))")
    }
  }

  // MARK: - Comparisons

  private mutating func test(_ name: String) throws(RunExpressionError) -> RunExpression.Condition {
    if let end = RunEnd(rawValue: name) { return .test { $0.run.apparentEnd == end } }
    guard let field = RunField(name) else {
      throw error(
        "'\(name)' is nothing that is known of a run; expected died, closed, running, or one of "
          + RunField.names.joined(separator: ", "))
    }
    if let named = Job.Kind(rawValue: name) {
      guard kind == nil || kind == named else {
        throw error("selects either jobs, clients or spans, not several of them")
      }
      kind = named
    }
    guard case .comparison(let comparison)? = try peek() else { return Self.isThere(field) }
    _ = try next()
    let value: String
    switch try next() {
    case .word(let text)?, .quoted(let text)?: value = text
    default: throw error("expected a value after '\(name)\(comparison.rawValue)'")
    }
    return try compare(name, field, comparison, value)
  }

  private static func isThere(_ field: RunField) -> RunExpression.Condition {
    switch field {
    case .text(let get): .test { !get($0).isEmpty }
    case .number(let get): .test { get($0).map { $0 != 0 } ?? false }
    case .time(let get): .test { get($0) != nil }
    case .duration(let get): .test { get($0) != nil }
    }
  }

  private func compare(
    _ name: String, _ field: RunField, _ comparison: RunExpression.Comparison, _ value: String
  ) throws(RunExpressionError) -> RunExpression.Condition {
    switch field {
    case .text(let get): return try compare(name, get, comparison, value)
    case .number(let get):
      guard let number = Double(value) else { throw error("\(name) is a number, not '\(value)'") }
      return .test { run in get(run).map { comparison.holds($0, number) } ?? false }
    case .duration(let get):
      guard let seconds = Quantity.seconds(value) else {
        throw error("\(name) is a duration such as 90s, 5m or 2h, not '\(value)'")
      }
      return .test { run in get(run).map { comparison.holds($0, seconds) } ?? false }
    case .time(let get):
      guard
        let time = try? FilterParsing.time(
          value, option: "--runs", now: now,
          isEnd: comparison == .atMost || comparison == .more)
      else {
        throw error(
          "\(name) is a time such as 2026-01-31T12:00, 2026-01-31 or -7d, not '\(value)'")
      }
      return .test { run in get(run).map { comparison.holds($0, time) } ?? false }
    }
  }

  /// Texts are equal to one of a pattern; they are ordered as numbers, if both are.
  private func compare(
    _ name: String, _ get: @escaping @Sendable (RunItem) -> [String],
    _ comparison: RunExpression.Comparison, _ value: String
  ) throws(RunExpressionError) -> RunExpression.Condition {
    switch comparison {
    case .equal, .notEqual:
      let glob = Glob(value)
      let isEqual = comparison == .equal
      return .test { run in get(run).contains { glob.matches($0) } == isEqual }
    default:
      guard let number = Double(value) else {
        throw error("\(name) is a text: compare it with = or !=, or with a number")
      }
      return .test { run in
        get(run).contains { Double($0).map { comparison.holds($0, number) } ?? false }
      }
    }
  }

  // MARK: - Tokens

  private mutating func takes(_ word: String) throws(RunExpressionError) -> Bool {
    guard try peek() == .word(word) else { return false }
    _ = try next()
    return true
  }

  private mutating func peek() throws(RunExpressionError) -> Token? {
    let before = rest
    defer { rest = before }
    return try next()
  }

  private mutating func next() throws(RunExpressionError) -> Token? {
    rest = rest.drop { $0.isWhitespace }
    guard let character = rest.first else { return nil }
    switch character {
    case "(", ")":
      rest.removeFirst()
      return character == "(" ? .open : .close
    case "'", "\"":
      let text = rest.dropFirst()
      guard let end = text.firstIndex(of: character) else {
        throw error("a quote has no end")
      }
      rest = text[text.index(after: end)...]
      return .quoted(String(text[..<end]))
    default: break
    }
    if let sign = RunExpression.Comparison.allCases.first(where: { rest.hasPrefix($0.rawValue) }) {
      rest = rest.dropFirst(sign.rawValue.count)
      return .comparison(sign)
    }
    let word = rest.prefix { !$0.isWhitespace && !"()'\"=<>".contains($0) && $0 != "!" }
    guard !word.isEmpty else { throw error("unexpected '\(character)'") }
    rest = rest[word.endIndex...]
    return .word(String(word))
  }

  private static func name(_ token: Token) -> String {
    switch token {
    case .word(let text), .quoted(let text): "'\(text)'"
    case .comparison(let sign): "'\(sign.rawValue)'"
    case .open: "'('"
    case .close: "')'"
    }
  }
}

extension RunExpression.Comparison {
  func holds<Value: Comparable>(_ one: Value, _ other: Value) -> Bool {
    switch self {
    case .equal: one == other
    case .notEqual: one != other
    case .less: one < other
    case .atMost: one <= other
    case .more: one > other
    case .atLeast: one >= other
    }
  }
}
