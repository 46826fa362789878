import TaskLogPlugin

/// Redacts args whose names match patterns, and dictionary entries with such names at any depth of
/// args and snapshots. Values are replaced before anything reaches the spool.
struct Redaction: Sendable {
  private let patterns: NamePatterns
  /// Whether the patterns match a name that our own engine gives its args; usually none does, and
  /// those args need not be searched.
  private let matchesRun: Bool
  private let matchesKeys: Bool
  private let matchesTask: Bool

  /// - Parameter patterns: names or patterns (see `Glob`); case is ignored.
  init?(_ patterns: [String]) {
    guard !patterns.isEmpty else { return nil }
    let patterns = NamePatterns(patterns, ignoresCase: true)
    func matches(_ names: [StaticString]) -> Bool {
      names.contains { patterns.matches($0.description) }
    }
    self.patterns = patterns
    matchesRun = matches(RunReport.fieldNames + SpanField.all)
    matchesKeys = matches(ClientKeys.fieldNames)
    matchesTask = matches([SnapshotKind.task] + TaskField.all + SpanField.all)
  }

  func redacted(_ event: borrowing Event) -> Event {
    var event = copy event
    switch event.args.storage {
    case .empty: break
    case .run where !matchesRun: break
    case .keys where !matchesKeys: break
    default:
      var content = event.args.content
      for index in content.named.indices {
        let argument = content.named[index]
        content.named[index].value =
          matches(argument.name) ? .opaque("redacted") : redacted(argument.value)
      }
      content.positional = content.positional.map(redacted)
      event.args = Args(content)
    }
    switch event.snapshot {
    case .none: break
    case .task where !matchesTask: break
    default: event.snapshot = event.snapshot.value.map { .other(redacted($0)) } ?? .none
    }
    return event
  }

  private func redacted(_ value: Value) -> Value {
    switch value {
    case .dict(let entries):
      .dict(
        entries.map { entry in
          guard case .string(let name) = entry.key, matches(name) else {
            return .init(entry.key, redacted(entry.value))
          }
          return .init(entry.key, .opaque("redacted"))
        })
    case .list(let values): .list(values.map(redacted))
    case .tuple(let values): .tuple(values.map(redacted))
    case .tagged(let name, let value): .tagged(name, redacted(value))
    default: value
    }
  }

  private func matches(_ name: String) -> Bool { patterns.matches(name) }
}
