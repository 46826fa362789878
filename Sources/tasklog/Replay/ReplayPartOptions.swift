import ArgumentParser
import Querying
import Replaying
import TaskLogPlugin

/// The options for the part of a run to replay, and the speed.
struct ReplayPartOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Call plugins from this point on, with the state of that time: seq:100 or 100, "
        + "2026-01-31T12:00 (UTC), or -10m (s, m, h, d).",
      valueName: "seq|time"))
  var from: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Call plugins up to this point; same format.", valueName: "seq|time"))
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Call only plugins on the scheduler, on workers, or on the worker at this address.",
      valueName: "scheduler|worker|address"))
  var source: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Skip events about other keys than this one, or than those that match a pattern.",
      valueName: "glob"))
  var key: [String] = []

  @Option(
    help: ArgumentHelp(
      "Replay at recorded speed (1x), ten times faster (10x), and so on. By default max.",
      valueName: "speed"))
  var speed: String?

  @Flag(help: "Stop at the first hook that fails.")
  var failFast = false

  @Flag(help: "Compare the plugins' reports with those that the recorder stored in the live run.")
  var verify = false

  @Flag(name: .shortAndLong, help: "Follow a live run until it ends.")
  var follow = false

  /// - Throws: `Failure`, `FilterError`.
  func options(now: Int64) throws -> ReplayOptions {
    var options = ReplayOptions()
    options.from = try from.map { try Self.bound($0, "--from", now, isEnd: false) }
    options.to = try to.map { try Self.bound($0, "--to", now, isEnd: true) }
    switch (options.from, options.to) {
    case (.seq(let from), .seq(let to)) where from > to,
      (.time(let from), .time(let to)) where from > to:
      throw Failure.usage("--from \(self.from ?? "") is after --to \(self.to ?? "")")
    default: break
    }
    options.sources = source.map { text in
      Source.Kind(rawValue: text).map { .kind($0) } ?? .address(text)
    }
    options.keys = key
    options.speed = try speed.flatMap(Self.speed)
    options.failsFast = failFast
    options.follows = follow
    options.verifies = verify
    if verify, from != nil || !key.isEmpty {
      throw Failure.usage(
        "--verify needs all events of a plugin; omit "
          + (from != nil ? "--from" : "--key"))
    }
    return options
  }

  /// The options that skip events, as on the command line.
  var given: String {
    ([("--from", from), ("--to", to)].compactMap { name, value in value.map { "\(name) \($0)" } }
      + source.map { "--source \($0)" } + key.map { "--key \($0)" })
      .joined(separator: " ")
  }

  private static func bound(
    _ text: String, _ option: String, _ now: Int64, isEnd: Bool
  ) throws -> ReplayOptions.Bound {
    if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      guard let seq = Int64(text) else { throw FilterError.badTime(text, option: option) }
      return .seq(seq)
    }
    switch try FilterParsing.bound(text, option: option, now: now, isEnd: isEnd) {
    case .seq(let seq): return .seq(seq)
    case .time(let time): return .time(time)
    }
  }

  /// Parses `1x`, `0.5x`, `10x`; `nil` for `max`.
  private static func speed(_ text: String) throws -> Double? {
    if text == "max" { return nil }
    guard text.hasSuffix("x"), let speed = Double(text.dropLast()), speed.isFinite, speed > 0 else {
      throw Failure.usage(
        "--speed \(text.isEmpty ? "''" : text): expected a speed such as 1x, 10x or 0.5x, or max")
    }
    return speed
  }
}
