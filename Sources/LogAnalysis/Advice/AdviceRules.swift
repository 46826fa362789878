import LogFormat

/// Derives advice from the figures of a run: pure, one function for each kind.
struct AdviceRules: Sendable {
  let facts: AdviceFacts
  let thresholds: AdviceThresholds

  init(_ facts: AdviceFacts, _ thresholds: AdviceThresholds) {
    (self.facts, self.thresholds) = (facts, thresholds)
  }

  var all: [Advice] {
    (failureAdvice + workAdvice + dataAdvice + clusterAdvice + doubtAdvice).sorted(
      by: Advice.isBefore)
  }

  /// How much a cost of thread time matters; `nil` if it does not.
  func severity(ofCost cost: Int64) -> Advice.Severity? {
    let (seconds, share) = (Double(cost) / 1e9, share(cost))
    if seconds >= thresholds.warningSeconds, share >= thresholds.warningShare { return .warning }
    return seconds >= thresholds.noteSeconds && share >= thresholds.noteShare ? .note : nil
  }

  /// A part of the time of all threads while tasks were unfinished.
  func share(_ cost: Int64) -> Double {
    facts.idle.active > 0 ? Double(cost) / Double(facts.idle.active) : 0
  }

  /// Advice about a cost of time, if that is worth any.
  ///
  /// - Parameter most: the highest severity.
  func timed(
    _ kind: Advice.Kind, of subject: String? = nil, cost: Int64, _ finding: String,
    _ action: String, _ certainty: Advice.Certainty, most: Advice.Severity = .warning,
    _ evidence: Advice.Evidence
  ) -> [Advice] {
    guard let severity = severity(ofCost: cost) else { return [] }
    return [
      Advice(
        kind: kind, severity: min(severity, most), subject: subject, cost: cost, finding: finding,
        action: action, certainty: certainty, evidence: evidence)
    ]
  }

  /// SQL over the views, for this run.
  ///
  /// - Parameters:
  ///   - rest: what comes after the condition that selects the run.
  func sql(_ columns: String, from view: String, _ rest: String) -> Advice.Evidence {
    .sql("SELECT \(columns) FROM \(view) WHERE run = \(facts.run)\(rest.isEmpty ? "" : " ")\(rest)")
  }

  /// Text in SQL.
  static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

  func duration(_ nanoseconds: Int64) -> String { Units.duration(nanoseconds: nanoseconds) }
}
