import BrokerMessages
import EventLog
import TaskLogPlugin

/// Decides for each event whether plugins are called with it.
///
/// Within a source the chosen part is one piece, also where its clock has jumped back: it begins with
/// the first event that is not before `from` and ends before the first that is behind `to`.
struct Selection {
  /// Where a source is.
  private enum Place {
    case before, within, behind
  }

  private let options: ReplayOptions
  private let patterns: [KeyPattern]
  private var places: [Int64: Place] = [:]
  private var behindCount = 0

  init(_ options: ReplayOptions) {
    self.options = options
    patterns = options.keys.map { KeyPattern($0) }
  }

  /// Whether all events of all sources are chosen.
  var isEverything: Bool { !options.isPartial }

  /// Whether plugins on a source are called at all.
  func chooses(_ source: Source) -> Bool {
    options.sources.isEmpty
      || options.sources.contains { choice in
        switch choice {
        case .kind(let kind): source.kind == kind
        case .address(let address): source.address == address
        }
      }
  }

  /// Whether nothing of so many sources is still to come.
  func isOver(of sourceCount: Int) -> Bool { behindCount >= sourceCount && options.to != nil }

  /// Whether plugins are called with an event of a chosen source.
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
    var place = places[recorded.source] ?? .before
    if place == .before, Self.isReached(options.from, recorded, time, orEqual: true) {
      place = .within
    }
    if place == .within, options.to != nil,
      Self.isReached(options.to, recorded, time, orEqual: false)
    {
      place = .behind
      behindCount += 1
    }
    places[recorded.source] = place
    return place == .within
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
