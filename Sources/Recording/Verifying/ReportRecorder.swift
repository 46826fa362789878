import LogFormat
import TaskLogPlugin

/// Records a plugin's reports among the events of its source.
///
/// The mark `report` holds the plugin's report after all earlier events of the source. Its args are
/// `plugin`, the name of its class without its module, and `report`.
final class ReportRecorder {
  private let channel: any EventChannel
  private let every: Int
  private var calls = 0
  /// Whether the plugin was called since its last recorded report.
  private var hasChanged = true

  init(_ channel: any EventChannel, every: Int) {
    self.channel = channel
    self.every = every
  }

  /// Called after each call of the plugin.
  func called(_ plugin: any Plugin) {
    calls += 1
    hasChanged = true
    if every > 0, calls.isMultiple(of: every) { record(plugin) }
  }

  /// Called if the plugin was called before the event of that call is recorded: its report is
  /// recorded later.
  func calledAhead() { hasChanged = true }

  /// Called at the end of the plugin's life.
  func end(_ plugin: any Plugin) {
    if hasChanged { record(plugin) }
  }

  private func record(_ plugin: any Plugin) {
    hasChanged = false
    channel.record(
      Event(
        .report, time: Clock.now(),
        args: Args(named: [
          .init("plugin", .string(String(describing: type(of: plugin)))),
          .init("report", plugin.report()),
        ])))
  }
}
