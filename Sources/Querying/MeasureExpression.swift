import LogAnalysis
import LogFormat

/// An error in an expression that names a measure, or that tests one.
package struct MeasureError: Error, Sendable, CustomStringConvertible {
  package var option: String
  package var text: String
  package var reason: String
  /// Whether the expression is right, and the compared runs have no such value.
  package var isUnknown = false

  package var description: String { "\(option) '\(text)': \(reason)" }
}

/// Names measures of runs: `makespan`, `p95(prefix=load)`, `time(class=transfer)`. A pattern names one
/// measure for each prefix or class that matches.
package struct MeasureExpression: Sendable {
  package let name: Measure.Name
  /// The pattern in parentheses.
  private let pattern: String?

  /// - Parameter option: the option that it was given for, for errors.
  /// - Throws: `MeasureError`.
  package init(_ text: String, option: String) throws(MeasureError) {
    var parser = MeasureParser(text, option: option)
    self = try parser.measure()
    try parser.end()
  }

  fileprivate init(_ name: Measure.Name, _ pattern: String?) {
    (self.name, self.pattern) = (name, pattern)
  }

  /// The measures that it names in these runs; none if no prefix matches.
  package func measures(of runs: [RunFigures]) -> [Measure] {
    guard let pattern else { return [Measure(name)] }
    let glob = Glob(pattern)
    if name == .time {
      return RunFigures.comparedClasses.filter { glob.matches($0.name) }
        .map { Measure(.time, timeClass: $0.name) }
    }
    return Set(runs.flatMap(\.prefixes.keys)).filter { glob.matches($0) }.sorted()
      .map { Measure(name, prefix: $0) }
  }
}

extension Measure {
  /// As `MeasureExpression` reads it.
  package var text: String {
    if let prefix { return "\(name.rawValue)(prefix=\(Self.quoted(prefix)))" }
    if let timeClass { return "\(name.rawValue)(class=\(Self.quoted(timeClass)))" }
    return name.rawValue
  }

  private static func quoted(_ text: String) -> String {
    text.contains { "()'\" ".contains($0) } || text.isEmpty
      ? text.contains("'") ? "\"\(text)\"" : "'\(text)'" : text
  }

  /// A value for people.
  package func text(_ value: Double) -> String {
    switch unit {
    case .seconds: return Units.duration(seconds: value)
    case .bytes: return Units.bytes(value)
    case .count:
      let count = Int64(saturating: value)
      return Double(count) == value ? Units.count(count) : "\(value)"
    }
  }
}

/// A condition for which a comparison fails: `makespan > 1.2x`, `failed > 0`, `p95(prefix=load) > 3s`.
package struct MeasureLimit: Sendable {
  package enum Bound: Sendable {
    case value(Double)
    /// The median of the baseline, multiplied by this.
    case factor(Double)
  }

  package let text: String
  package let measure: MeasureExpression
  let comparison: RunExpression.Comparison
  package let bound: Bound

  /// - Throws: `MeasureError`.
  package init(_ text: String) throws(MeasureError) {
    var parser = MeasureParser(text, option: "--fail-if")
    self.text = text
    (measure, comparison, bound) = try parser.limit()
  }

  /// What the limit says of one measure.
  package struct Result: Sendable {
    package var limit: MeasureLimit
    package var measure: Measure
    /// The median of the runs.
    package var value: Double
    package var bound: Double
    package var hasFailed: Bool

    /// Such as `makespan is 12 s, 1.5x of 8 s; it fails if > 1.2x`.
    package var text: String {
      var text = "\(measure.text) is \(measure.text(value))"
      if case .factor(let factor) = limit.bound {
        let base = bound / factor
        text +=
          base > 0 && factor > 0
          ? ", \(rounded(value / base, 100))x of \(measure.text(base))" : ", of 0"
      }
      return text + (hasFailed ? " (limit: \(limit.text))" : "")
    }

    private func rounded(_ value: Double, _ digits: Double) -> Double {
      (value * digits).rounded() / digits
    }
  }

  /// One result for each measure that it names.
  ///
  /// - Throws: `MeasureError` if the runs or the baseline have no such value.
  package func results(
    of runs: [RunFigures], baseline: [RunFigures]
  ) throws(MeasureError) -> [Result] {
    let measures = measure.measures(of: baseline + runs)
    guard !measures.isEmpty else {
      throw MeasureError(
        option: "--fail-if", text: text, reason: "no task of the compared runs has such a prefix",
        isUnknown: true)
    }
    var results: [Result] = []
    for measure in measures {
      func median(_ side: [RunFigures], _ name: String) throws(MeasureError) -> Double {
        guard let median = side.compactMap(measure.value).median else {
          throw MeasureError(
            option: "--fail-if", text: text, reason: "\(name) no value of \(measure.text)",
            isUnknown: true)
        }
        return median
      }
      let value = try median(runs, "the runs have")
      let limit =
        switch bound {
        case .value(let value): value
        case .factor(let factor): try factor * median(baseline, "the baseline has")
        }
      results.append(
        Result(
          limit: self, measure: measure, value: value, bound: limit,
          hasFailed: comparison.holds(value, limit)))
    }
    return results
  }
}

/// Parses `MeasureExpression` and `MeasureLimit`.
private struct MeasureParser {
  private let text: String
  private let option: String
  private var rest: Substring

  init(_ text: String, option: String) {
    (self.text, self.option, rest) = (text, option, text[...])
  }

  private func error(_ reason: String) -> MeasureError {
    MeasureError(option: option, text: text, reason: reason)
  }

  private mutating func skipSpace() { rest = rest.drop { $0.isWhitespace } }

  mutating func measure() throws(MeasureError) -> MeasureExpression {
    skipSpace()
    let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    guard let name = Measure.Name(rawValue: String(word)) else {
      throw error(
        "expected one of \(Measure.Name.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    rest = rest[word.endIndex...]
    skipSpace()
    let pattern = rest.first == "(" ? try argument(of: name) : nil
    if pattern == nil, name.needsPrefix || name == .time {
      let example = name == .time ? "time(class=transfer)" : "\(name.rawValue)(prefix=load)"
      throw error("\(name.rawValue) is of something: write such as \(example)")
    }
    return MeasureExpression(name, pattern)
  }

  private mutating func argument(of name: Measure.Name) throws(MeasureError) -> String {
    rest.removeFirst()
    skipSpace()
    let field = name == .time ? "class" : "prefix"
    guard name == .time || name.takesPrefix else {
      throw error("\(name.rawValue) is of a whole run")
    }
    guard rest.hasPrefix(field) else { throw error("expected \(name.rawValue)(\(field)=…)") }
    rest = rest.dropFirst(field.count)
    skipSpace()
    guard rest.first == "=" else { throw error("expected '=' after '\(field)'") }
    rest.removeFirst()
    skipSpace()
    var value: Substring
    if let quote = rest.first, quote == "'" || quote == "\"" {
      value = rest.dropFirst().prefix { $0 != quote }
      rest = rest[value.endIndex...]
      guard rest.first == quote else { throw error("a quote has no end") }
      rest.removeFirst()
      skipSpace()
    } else {
      value = rest.prefix { $0 != ")" }
      rest = rest[value.endIndex...]
      while value.last?.isWhitespace == true { value.removeLast() }
    }
    guard rest.first == ")" else { throw error("expected ')'") }
    rest.removeFirst()
    let names = RunFigures.comparedClasses.map(\.name)
    if name == .time, !names.contains(where: { Glob(String(value)).matches($0) }) {
      throw error("classes are \(names.joined(separator: ", "))")
    }
    return String(value)
  }

  mutating func end() throws(MeasureError) {
    skipSpace()
    if !rest.isEmpty { throw error("unexpected '\(rest)'") }
  }

  mutating func limit() throws(MeasureError) -> (
    MeasureExpression, RunExpression.Comparison, MeasureLimit.Bound
  ) {
    let measure = try measure()
    skipSpace()
    guard let sign = RunExpression.Comparison.allCases.first(where: { rest.hasPrefix($0.rawValue) })
    else { throw error("expected a comparison such as '> 1.2x' after the measure") }
    rest = rest.dropFirst(sign.rawValue.count)
    skipSpace()
    var value = rest
    while value.last?.isWhitespace == true { value.removeLast() }
    if value.last == "x", let factor = Double(value.dropLast()), factor >= 0, factor.isFinite {
      return (measure, sign, .factor(factor))
    }
    let number: Double? =
      switch measure.name.unit {
      case .seconds: Quantity.seconds(String(value))
      case .bytes: Quantity.bytes(String(value)).map(Double.init)
      case .count: Double(value)
      }
    guard let number, number.isFinite else {
      let example =
        switch measure.name.unit {
        case .seconds: "90s, 5m"
        case .bytes: "500MB, 2GiB"
        case .count: "0, 100"
        }
      throw error("expected a value such as \(example), or 1.2x of the baseline")
    }
    return (measure, sign, .value(number))
  }
}
