import EventLog
import TaskLogPlugin

/// How the results of one plugin on one source, noted live, compare with those of a replay.
public struct Verification: Sendable {
  /// Where the two part.
  public struct Difference: Sendable {
    /// The number in the log of the last noted result that was equal; nothing when none was.
    public var equalSeq: Int64?
    /// The number in the log of the first noted result that differs.
    public var seq: Int64
    /// How many events of the source lie between the two.
    public var events: Int
    /// The last of them, the one in which they part when there is no other.
    public var lastEvent: String?
    public var lastEventSeq: Int64?
    /// What differs within the results: `counter`, `durations.inc`; empty for all of it.
    public var place: String
    /// What the plugin had there live, as JSON.
    public var live: String
    /// What it has there in the replay, as JSON.
    public var replayed: String
  }

  /// The name of the plugin's class.
  public var plugin: String
  /// The worker that the plugin was on; nothing on the scheduler.
  public var worker: String?
  /// How many noted results were compared.
  public var noted = 0
  /// How many of them differ.
  public var differing = 0
  public var first: Difference?

  public init(plugin: String, worker: String?) {
    self.plugin = plugin
    self.worker = worker
  }
}

/// Compares the results of one plugin on one source with those that were noted live.
///
/// The mark `report` says what a plugin was after all events of its source before it.
public struct Verifier {
  private var result: Verification
  private var equalSeq: Int64?
  /// Since the last noted result.
  private var events = 0
  private var last: RecordedEvent?

  public init(plugin: String, worker: String?) {
    result = Verification(plugin: plugin, worker: worker)
  }

  /// The comparison so far; nothing when nothing was noted of the plugin.
  public var verification: Verification? { result.noted > 0 ? result : nil }

  /// Takes in the next event of the source, after the plugin was called with it.
  ///
  /// - Parameter report: what the plugin has to say now; asked for only when it is compared.
  public mutating func take(_ recorded: RecordedEvent, report: () -> Value) {
    guard recorded.event.hook == .report else {
      events += 1
      last = recorded
      return
    }
    let args = recorded.event.args.content
    // The mark also says which hooks of a plugin have failed.
    guard args["plugin"]?.string == result.plugin, args["failed"] == nil else { return }
    compare(args["report"] ?? .null, report(), at: recorded.seq)
  }

  private mutating func compare(_ live: Value, _ replayed: Value, at seq: Int64) {
    result.noted += 1
    if let parting = FirstDivergence(live: live, replayed: Self.asNoted(replayed)) {
      result.differing += 1
      if result.first == nil {
        result.first = .init(
          equalSeq: equalSeq, seq: seq, events: events, lastEvent: last?.event.summaryText,
          lastEventSeq: last?.seq, place: parting.place, live: JSONWriter.text(parting.live),
          replayed: JSONWriter.text(parting.replayed))
      }
    } else if result.first == nil {
      equalSeq = seq
    }
    events = 0
    last = nil
  }

  /// A value as it comes out of a log.
  private static func asNoted(_ value: Value) -> Value {
    (try? JSONReader.value(JSONWriter.text(value))) ?? value
  }
}
