import Recording
import TaskLogPlugin

/// The options of publishing, as the command line and other languages pass them.
package struct PublishingOptions: Sendable {
  /// The possible numbers of events in a message.
  private static let batches = 1...100_000

  private var url: String?
  private var queue = Publishing.defaultQueue
  private var isPassive = false
  private var batch = 1
  private var isTransitions = false
  private var spool = Publishing.defaultSpool

  package init() {}

  /// Sets an option.
  ///
  /// - Parameter value: a text, or a number for `batch`.
  /// - Throws: `PluginError.badOption`, or `unknownOption` with an empty name of a plugin.
  package mutating func set(_ name: String, _ value: Value) throws(PluginError) {
    switch name {
    case "url": url = try text(name, value)
    case "queue": queue = try text(name, value)
    case "spool": spool = try text(name, value)
    case "passive": isPassive = try choice(name, value, "no", "yes")
    case "payload": isTransitions = try choice(name, value, "events", "transitions")
    case "batch":
      let number = value.number.flatMap(Int.init(exactly:)) ?? value.string.flatMap { Int($0) }
      guard let number, Self.batches.contains(number) else {
        throw bad(
          name, value,
          "a number from \(Self.batches.lowerBound) to \(Self.batches.upperBound)")
      }
      batch = number
    default: throw .unknownOption(name, plugin: "")
    }
  }

  /// Where to publish, and how; `nil` if no broker is named.
  ///
  /// - Throws: `AMQPError`.
  package func publishing() throws(AMQPError) -> Publishing? {
    guard let url else { return nil }
    return try Publishing(
      to: url, queue: queue, isPassive: isPassive,
      payload: isTransitions ? .transitions : .events(batch: batch), spool: spool)
  }

  private func text(_ name: String, _ value: Value) throws(PluginError) -> String {
    guard let text = value.string else { throw bad(name, value, "text") }
    return text
  }

  /// - Returns: whether it is the second text.
  private func choice(
    _ name: String, _ value: Value, _ first: String, _ second: String
  ) throws(PluginError) -> Bool {
    guard let text = value.string, text == first || text == second else {
      throw bad(name, value, "\(first) or \(second)")
    }
    return text == second
  }

  private func bad(_ name: String, _ value: Value, _ expected: String) -> PluginError {
    .badOption(name, value: value.string ?? JSONWriter.text(value), expected: expected)
  }
}
