import ArgumentParser
import EventLog
import Querying

/// The options that select events by their time.
struct TimeOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The earliest time: 2026-01-31T12:00 (UTC), 2026-01-31, -10m (s, m, h, d), or seq:100.",
      valueName: "time"))
  var since: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The latest time, in the same format.", valueName: "time"))
  var until: String?

  /// - Throws: `FilterError`.
  func add(to filter: inout EventFilter, now: Int64) throws {
    if let since {
      switch try FilterParsing.bound(since, option: "--since", now: now) {
      case .time(let time): filter.since = time
      case .seq(let seq): filter.sinceSeq = seq
      }
    }
    if let until {
      switch try FilterParsing.bound(until, option: "--until", now: now, isEnd: true) {
      case .time(let time): filter.until = time
      case .seq(let seq): filter.untilSeq = seq
      }
    }
  }
}
