import AMQP
import Recording
import TaskLogPlugin

/// An unknown or invalid option.
struct OptionsError: Error, CustomStringConvertible {
  var description: String
}

extension PublishingOptions {
  /// Where to publish; `nil` if nothing is published.
  ///
  /// - Throws: `OptionsError`, which does not show the credentials of the address.
  func destination() throws(OptionsError) -> Publishing? {
    do {
      return try publishing()
    } catch .notBuilt {
      throw OptionsError(
        description: "this library was built without RabbitMQ, nothing is published; "
          + "install librabbitmq-dev and build it with TASKLOG_TRAITS=RabbitMQ in the environment")
    } catch {
      throw OptionsError(description: "\(error); nothing is published")
    }
  }
}

/// Reads a recorder's options from JSON.
enum OptionsReader {
  /// - Throws: `OptionsError`.
  static func options(
    _ json: String
  ) throws(OptionsError) -> (Recorder.Options, PublishingOptions) {
    guard let value = try? JSONReader.value(json), case .dict(let entries) = value else {
      throw OptionsError(description: "the options are not a JSON object")
    }
    var options = Recorder.Options()
    var publishing = PublishingOptions()
    for entry in entries {
      guard let name = entry.key.string else {
        throw OptionsError(description: "an option has no name")
      }
      if try !set(name, entry.value, &publishing) { try set(name, entry.value, &options) }
    }
    return (options, publishing)
  }

  private static let namesOfPublishing = [
    "publish": "url", "publish_queue": "queue", "publish_batch": "batch", "publish_spool": "spool",
  ]

  /// Sets an option of publishing; false if the option is not one of these.
  private static func set(
    _ name: String, _ value: Value, _ publishing: inout PublishingOptions
  ) throws(OptionsError) -> Bool {
    guard let short = namesOfPublishing[name] else { return false }
    do {
      try publishing.set(short, value)
    } catch .badOption(_, _, let expected) {
      throw OptionsError(description: "option '\(name)': expected \(expected)")
    } catch {
      throw OptionsError(description: "unknown option '\(name)'")
    }
    return true
  }

  private static func set(
    _ name: String, _ value: Value, _ options: inout Recorder.Options
  ) throws(OptionsError) {
    switch name {
    case "engine": options.engine = try text(name, value)
    case "engine_version": options.engineVersion = try text(name, value)
    case "mode": options.mode = try text(name, value)
    case "metadata": options.metadata = value
    case "spool_limit":
      options.spoolLimit = Int(try number(name, value, 65_536...17_592_186_044_416))
    case "segment_size": options.segmentSize = Int(try number(name, value, 4096...1_073_741_824))
    case "sync_seconds": options.syncSeconds = try number(name, value, 0...86_400)
    case "max_args_bytes":
      options.maximumArgsBytes = Int(try number(name, value, 0...17_592_186_044_416))
    case "worker_spools": options.workerSpools = try text(name, value)
    case "rotate_bytes": options.rotateBytes = Int64(try number(name, value, 0...1e18))
    case "rotate_seconds": options.rotateSeconds = try number(name, value, 0...1e9)
    case "include_hooks": options.filter.includeHooks = try texts(name, value)
    case "exclude_hooks": options.filter.excludeHooks = try texts(name, value)
    case "include_keys": options.filter.includeKeys = try texts(name, value)
    case "exclude_keys": options.filter.excludeKeys = try texts(name, value)
    case "include_sources": options.filter.includeSources = try texts(name, value)
    case "exclude_sources": options.filter.excludeSources = try texts(name, value)
    case "keep": options.keep = try text(name, value)
    case "deliver": options.deliver = try text(name, value)
    case "deliver_every": options.deliverEverySeconds = try number(name, value, 1...86_400)
    case "deliver_seconds": options.deliverSeconds = try number(name, value, 0...86_400)
    case "close_seconds": options.closeSeconds = try number(name, value, 0...86_400)
    default: throw OptionsError(description: "unknown option '\(name)'")
    }
  }

  private static func text(_ name: String, _ value: Value) throws(OptionsError) -> String {
    guard let text = value.string else {
      throw OptionsError(description: "option '\(name)': expected text")
    }
    return text
  }

  private static func texts(_ name: String, _ value: Value) throws(OptionsError) -> [String] {
    let texts = value.elements?.compactMap(\.string)
    guard let texts, texts.count == value.elements?.count else {
      throw OptionsError(description: "option '\(name)': expected a list of texts")
    }
    return texts
  }

  private static func number(
    _ name: String, _ value: Value, _ range: ClosedRange<Double>
  ) throws(OptionsError) -> Double {
    guard let number = value.number, range.contains(number) else {
      throw OptionsError(
        description:
          "option '\(name)': expected a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }
}
