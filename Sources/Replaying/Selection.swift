import BrokerMessages
import EventLog
import TaskLogPlugin

/// Decides for each event whether plugins are called with it.
///
/// Within a source the selected part is contiguous, even if its clock has jumped back: it begins
/// with the first event at or after `from` and ends before the first event after `to`.
struct Selection {
  /// The position of a source relative to the selected part.
  private enum Phase {
    case before, within, after
  }

  private let options: ReplayOptions
  private let patterns: [KeyPattern]
  private var phases: [Int64: Phase] = [:]
  private var finishedCount = 0

  init(_ options: ReplayOptions) {
    self.options = options
    patterns = options.keys.map { KeyPattern($0) }
  }

  /// Whether all events of all sources are selected.
  var isEverything: Bool { !options.isPartial }

  /// Whether plugins of a source are called at all.
  func chooses(_ source: Source) -> Bool {
    options.sources.isEmpty
      || options.sources.contains { choice in
        switch choice {
        case .kind(let kind): source.kind == kind
        case .address(let address): source.address == address
        }
      }
  }

  /// Whether the selected part is over in all of `sourceCount` sources.
  func isOver(of sourceCount: Int) -> Bool { finishedCount >= sourceCount && options.to != nil }

  /// Whether plugins are called with an event of a selected source.
  ///
  /// - Parameter time: by the scheduler's clock.
  mutating func takes(_ recorded: RecordedEvent, at time: Int64) -> Bool {
    guard options.from == nil && options.to == nil || isWithin(recorded, time) else {
      return false
    }
    guard !patterns.isEmpty, let key = recorded.event.key else { return true }
    return patterns.contains { $0.matches(key) }
  }

  private mutating func isWithin(_ recorded: RecordedEvent, _ time: Int64) -> Bool {
    var phase = phases[recorded.source] ?? .before
    if phase == .before, Self.isReached(options.from, recorded, time, orEqual: true) {
      phase = .within
    }
    if phase == .within, options.to != nil,
      Self.isReached(options.to, recorded, time, orEqual: false)
    {
      phase = .after
      finishedCount += 1
    }
    phases[recorded.source] = phase
    return phase == .within
  }

  private static func isReached(
    _ bound: ReplayOptions.Bound?, _ recorded: RecordedEvent, _ now: Int64, orEqual: Bool
  ) -> Bool {
    switch bound {
    case nil: true
    case .seq(let seq): orEqual ? recorded.seq >= seq : recorded.seq > seq
    case .time(let time): orEqual ? now >= time : now > time
    }
  }
}
