import EventLog
import LogAnalysis

/// The plugins of one replay that live in programs of their own.
struct ExternalPlugins {
  private let plugins: [any ExternalPlugin]
  private var wanting: [any ExternalPlugin]

  init(_ plugins: [any ExternalPlugin]) {
    self.plugins = plugins
    wanting = plugins
  }

  var isEmpty: Bool { plugins.isEmpty }
  var isDone: Bool { wanting.isEmpty }
  /// Whether one has said that it has seen enough.
  var hasStopped: Bool { wanting.count < plugins.count }
  /// Whether one of them wants the events of a source, of which none or some are chosen.
  func wants(_ source: SourceInfo, isChosen: Bool) -> Bool {
    plugins.contains { $0.wants(source) && (isChosen || $0.needsAll) }
  }
  /// How many hooks have failed so far, as far as the programs have told.
  var failureCount: Int { plugins.reduce(0) { $0 + $1.failureCount } }

  func begin(_ run: RunInfo, _ sources: [SourceInfo]) throws {
    for plugin in plugins { try plugin.begin(run, sources: sources) }
  }

  func join(_ source: SourceInfo) throws {
    for plugin in wanting { try plugin.join(source) }
  }

  mutating func take(_ recorded: RecordedEvent, isSelected: Bool) throws {
    var haveEnough: [any ExternalPlugin] = []
    for plugin in wanting where isSelected || plugin.needsAll {
      if try !plugin.take(recorded, isSelected: isSelected) { haveEnough.append(plugin) }
    }
    if !haveEnough.isEmpty {
      wanting.removeAll { plugin in haveEnough.contains { $0 === plugin } }
    }
  }

  func flush() throws {
    for plugin in wanting { try plugin.flush() }
  }

  /// What all of them had to say.
  func finish() throws -> ExternalResult {
    var all = ExternalResult()
    for plugin in plugins {
      let said = try plugin.finish()
      all.reports += said.reports
      all.failures += said.failures
      all.failureCount += said.failureCount
      all.verifications += said.verifications
      all.notices += said.notices
      all.lines += said.lines
      all.drift += said.drift
    }
    return all
  }
}
