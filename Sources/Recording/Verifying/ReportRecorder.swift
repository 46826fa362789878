import LogFormat
import TaskLogPlugin

/// Notes what a plugin reports among the events of its source.
///
/// The mark `report` says what the plugin was after all events of the source before it. Its args are
/// `plugin`, the name of its class without its module, and `report`.
final class ReportRecorder {
  private let channel: any EventChannel
  private let every: Int
  private var calls = 0
  /// Whether the plugin was called since it was noted last.
  private var isNew = true

  init(_ channel: any EventChannel, every: Int) {
    self.channel = channel
    self.every = every
  }

  /// The plugin has been called.
  func called(_ plugin: any Plugin) {
    calls += 1
    isNew = true
    if every > 0, calls.isMultiple(of: every) { note(plugin) }
  }

  /// The plugin has been called before the event of that call is recorded: what it is now is noted
  /// later.
  func calledAhead() { isNew = true }

  /// Nothing more comes.
  func end(_ plugin: any Plugin) {
    if isNew { note(plugin) }
  }

  private func note(_ plugin: any Plugin) {
    isNew = false
    channel.record(
      Event(
        .report, time: Clock.now(),
        args: Args(named: [
          .init("plugin", .string(String(describing: type(of: plugin)))),
          .init("report", plugin.report()),
        ])))
  }
}
