import EventLog
import TaskLogPlugin

/// Compares the results of one plugin on one source, recorded live, with those of a replay.
public struct Verification: Sendable {
  /// The first divergence of the two.
  public struct Difference: Sendable {
    /// The seq of the last recorded result that was equal; `nil` if none was.
    public var equalSeq: Int64?
    /// The seq of the first recorded result that differs.
    public var seq: Int64
    /// The number of events of the source between the two.
    public var events: Int
    /// The last of these events; the diverging one if it is the only one.
    public var lastEvent: String?
    public var lastEventSeq: Int64?
    /// The path of the difference within the results: `counter`, `durations.inc`; empty for the
    /// root.
    public var place: String
    /// The live value there, as JSON.
    public var live: String
    /// The replayed value there, as JSON.
    public var replayed: String
  }

  /// The name of the plugin's class.
  public var plugin: String
  /// The worker of the plugin; `nil` for the scheduler.
  public var worker: String?
  /// The number of recorded results compared.
  public var noted = 0
  /// The number of those that differ.
  public var differing = 0
  public var first: Difference?

  package init(plugin: String, worker: String?) {
    self.plugin = plugin
    self.worker = worker
  }
}

/// Compares the results of one plugin on one source with those recorded live.
///
/// The mark `report` contains a plugin's report after all earlier events of its source.
package struct Verifier {
  private var result: Verification
  private var equalSeq: Int64?
  /// The number of events since the last recorded result.
  private var events = 0
  private var last: RecordedEvent?

  package init(plugin: String, worker: String?) {
    result = Verification(plugin: plugin, worker: worker)
  }

  /// The comparison so far; `nil` if no result of the plugin was recorded.
  package var verification: Verification? { result.noted > 0 ? result : nil }

  /// Processes the next event of the source, after the plugin was called with it.
  ///
  /// - Parameter report: returns the plugin's current report; called only to compare it.
  package mutating func process(_ recorded: RecordedEvent, report: () -> Value) {
    guard recorded.event.hook == .report else {
      events += 1
      last = recorded
      return
    }
    let args = recorded.event.args.content
    // The mark is also used for failed hooks of a plugin.
    guard args["plugin"]?.string == result.plugin, args["failed"] == nil else { return }
    compare(args["report"] ?? .null, report(), at: recorded.seq)
  }

  private mutating func compare(_ live: Value, _ replayed: Value, at seq: Int64) {
    result.noted += 1
    if let divergence = FirstDivergence(live: live, replayed: Self.roundTripped(replayed)) {
      result.differing += 1
      if result.first == nil {
        result.first = .init(
          equalSeq: equalSeq, seq: seq, events: events, lastEvent: last?.event.summaryText,
          lastEventSeq: last?.seq, place: divergence.place, live: JSONWriter.text(divergence.live),
          replayed: JSONWriter.text(divergence.replayed))
      }
    } else if result.first == nil {
      equalSeq = seq
    }
    events = 0
    last = nil
  }

  /// A value as it would be read from a log.
  private static func roundTripped(_ value: Value) -> Value {
    (try? JSONReader.value(JSONWriter.text(value))) ?? value
  }
}
