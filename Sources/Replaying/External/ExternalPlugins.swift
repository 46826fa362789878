import EventLog
import LogAnalysis

/// The external plugins of one replay.
struct ExternalPlugins {
  private let plugins: [any ExternalPlugin]
  private var active: [any ExternalPlugin]

  init(_ plugins: [any ExternalPlugin]) {
    self.plugins = plugins
    active = plugins
  }

  var isEmpty: Bool { plugins.isEmpty }
  var isDone: Bool { active.isEmpty }
  /// Whether a plugin has asked to stop.
  var hasStopped: Bool { active.count < plugins.count }
  /// Whether a plugin needs the events of a source, of which some or none are selected.
  func needs(_ source: SourceInfo, isChosen: Bool) -> Bool {
    plugins.contains { $0.needs(source) && (isChosen || $0.needsAll) }
  }
  /// The number of failed hooks reported so far.
  var failureCount: Int { plugins.reduce(0) { $0 + $1.failureCount } }

  func begin(_ run: RunInfo, _ sources: [SourceInfo]) throws {
    for plugin in plugins { try plugin.begin(run, sources: sources) }
  }

  func join(_ source: SourceInfo) throws {
    for plugin in active { try plugin.join(source) }
  }

  mutating func process(_ recorded: RecordedEvent, isSelected: Bool) throws {
    var finished: [any ExternalPlugin] = []
    for plugin in active where isSelected || plugin.needsAll {
      if try !plugin.process(recorded, isSelected: isSelected) { finished.append(plugin) }
    }
    if !finished.isEmpty {
      active.removeAll { plugin in finished.contains { $0 === plugin } }
    }
  }

  func flush() throws {
    for plugin in active { try plugin.flush() }
  }

  /// The combined results of all plugins.
  func finish() throws -> ExternalResult {
    var combined = ExternalResult()
    for plugin in plugins {
      let result = try plugin.finish()
      combined.reports += result.reports
      combined.failures += result.failures
      combined.failureCount += result.failureCount
      combined.verifications += result.verifications
      combined.notices += result.notices
      combined.lines += result.lines
      combined.drift += result.drift
    }
    return combined
  }
}
