import ArgumentParser
import Filters
import Replaying
import TaskLogPlugin

/// Which part of a run, and how fast.
struct ReplayPartOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Call plugins from here on, with the state as it was: seq:100 or 100, "
        + "2026-01-31T12:00 (UTC), or -10m (s, m, h, d).",
      valueName: "place"))
  var from: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Call plugins up to here; written in the same way.", valueName: "place"))
  var to: String?

  @Option(
    help: ArgumentHelp(
      "Call only plugins on the scheduler, on workers, or on the one with this address.",
      valueName: "scheduler|worker|address"))
  var source: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Leave out events about keys other than this one, or than those of a pattern with * and ?.",
      valueName: "glob"))
  var key: [String] = []

  @Option(
    help: ArgumentHelp(
      "Go by the recorded times: 1x as fast as it was, 10x ten times as fast. By default max.",
      valueName: "speed"))
  var speed: String?

  @Flag(help: "End at the first hook that fails.")
  var failFast = false

  @Flag(help: "Compare what plugins report with what a recorder has noted of them live.")
  var verify = false

  @Flag(name: .shortAndLong, help: "Go on with what is being recorded, until the run ends.")
  var follow = false

  /// - Throws: `Failure`, `FilterError`.
  func options(now: Int64) throws -> ReplayOptions {
    var options = ReplayOptions()
    options.from = try from.map { try Self.bound($0, "--from", now, isEnd: false) }
    options.to = try to.map { try Self.bound($0, "--to", now, isEnd: true) }
    switch (options.from, options.to) {
    case (.seq(let from), .seq(let to)) where from > to,
      (.time(let from), .time(let to)) where from > to:
      throw Failure.usage("--from \(self.from ?? "") lies behind --to \(self.to ?? "")")
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
        "--verify needs all that a plugin was called with; leave out "
          + (from != nil ? "--from" : "--key"))
    }
    return options
  }

  /// What leaves something out, as it was given.
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

  /// `1x`, `0.5x`, `10x`; nothing for `max`.
  private static func speed(_ text: String) throws -> Double? {
    if text == "max" { return nil }
    guard text.hasSuffix("x"), let speed = Double(text.dropLast()), speed.isFinite, speed > 0 else {
      throw Failure.usage(
        "--speed \(text.isEmpty ? "''" : text): no speed; write 1x, 10x, 0.5x or max")
    }
    return speed
  }
}
