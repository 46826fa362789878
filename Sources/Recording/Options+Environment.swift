import Glibc
import TaskLogPlugin

extension Recorder.Options {
  /// Options from the environment variables, which have the names that the recorder for Dask uses:
  /// `TASKLOG_REDACT`, `TASKLOG_MAX_ARGS_BYTES`, `TASKLOG_INCLUDE_HOOKS` and the like,
  /// `TASKLOG_ROTATE_SIZE`, `TASKLOG_ROTATE_AGE`, `TASKLOG_SPOOL_LIMIT`, `TASKLOG_SYNC_SECONDS`,
  /// `TASKLOG_CLOSE_SECONDS`. The user of a program can so set what its author has left open. A
  /// recorder without explicit options uses these. A variable that looks like an option and is none
  /// is reported as a `problem`: a misspelt `TASKLOG_REDACT` hides nothing.
  ///
  /// - Throws: `RecordingError.wrongVariable`.
  public static func fromEnvironment() throws(RecordingError) -> Recorder.Options {
    let (options, unknown) = try read(environment())
    for name in unknown {
      options.problem("tasklog: unknown option '\(name)' ignored")
    }
    return options
  }

  private static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      // Compares bytes: a character may consist of "=" and a combining mark.
      if let sign = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
        variables[String(text[..<sign])] = String(text[text.utf8.index(after: sign)...])
      }
      next += 1
    }
    return variables
  }

  /// Options of the recorder for Dask only: the variable may be meant for such a recorder in the
  /// same environment.
  private static let optionsOfDask: Set = [
    "LOG", "PUBLISH", "PUBLISH_QUEUE", "PUBLISH_BATCH", "PUBLISH_SPOOL", "DEEP", "WORKERS",
    "STIMULI", "HEARTBEATS", "PICKLE", "MAX_VALUE_BYTES", "WORKER_INTERVAL", "WORKER_SPOOL",
    "WORKER_SPOOL_LIMIT",
  ]
  /// Variables that are not recorder options, and prefixes of such names.
  private static let others: Set = [
    "DISABLED", "LIB", "MODULES", "TRAITS", "RUN", "RESOLVED_LOG", "WATCHED",
  ]
  private static let beginningsOfOthers = ["AMQP_", "OPTION_", "TEST_"]

  private static func isOurs(_ variable: String) -> Bool {
    guard variable.hasPrefix("TASKLOG_") else { return false }
    let name = String(variable.dropFirst("TASKLOG_".count))
    return !optionsOfDask.contains(name) && !others.contains(name)
      && !beginningsOfOthers.contains { name.hasPrefix($0) }
  }

  /// - Returns: the options, and the sorted names of variables that look like options and are none.
  static func read(
    _ variables: [String: String]
  ) throws(RecordingError) -> (options: Recorder.Options, unknown: [String]) {
    var unknown = Set(variables.keys.filter(isOurs))
    func variable(_ name: String) -> String? {
      unknown.remove(name)
      return variables[name]
    }
    var options = Recorder.Options()
    func read<T>(
      _ name: String, _ expected: String, _ parse: (String) -> T?
    ) throws(RecordingError) -> T? {
      guard let text = variable(name), !text.isEmpty else { return nil }
      guard let value = parse(text) else {
        throw .wrongVariable(name, value: text, expected: expected)
      }
      return value
    }
    func size(_ name: String) throws(RecordingError) -> Int? {
      try read("TASKLOG_\(name)", "a size from 1 kiB to 16 TiB, such as 64MiB") {
        Quantity.bytes($0).flatMap { (1 << 10...1 << 44).contains($0) ? $0 : nil }
      }
    }
    func seconds(_ name: String, _ range: ClosedRange<Double>) throws(RecordingError) -> Double? {
      try read("TASKLOG_\(name)", "a duration such as 500ms or 1d") {
        Quantity.seconds($0).flatMap { range.contains($0) ? $0 : nil }
      }
    }
    /// Keys may contain commas.
    func patterns(_ name: String, by separator: Character = ";") -> [String] {
      (variable("TASKLOG_\(name)") ?? "").split(separator: separator).map { part in
        String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }.filter { !$0.isEmpty }
    }
    options.redactedArgs = patterns("REDACT", by: ",")
    options.maximumArgsBytes = try size("MAX_ARGS_BYTES")
    options.filter.includeHooks = patterns("INCLUDE_HOOKS", by: ",")
    options.filter.excludeHooks = patterns("EXCLUDE_HOOKS", by: ",")
    options.filter.includeKeys = patterns("INCLUDE_KEYS")
    options.filter.excludeKeys = patterns("EXCLUDE_KEYS")
    options.filter.includeSources = patterns("INCLUDE_SOURCES")
    options.filter.excludeSources = patterns("EXCLUDE_SOURCES")
    options.rotateBytes = try size("ROTATE_SIZE").map(Int64.init)
    options.rotateSeconds = try seconds("ROTATE_AGE", 1...1e9)
    options.spoolLimit = try size("SPOOL_LIMIT")
    if let sync = try seconds("SYNC_SECONDS", 0...86_400) { options.syncSeconds = sync }
    if let close = try seconds("CLOSE_SECONDS", 0...86_400) { options.closeSeconds = close }
    return (options, unknown.sorted())
  }
}

/// Sizes and durations as users write them and Dask reads them: a number and a unit.
package enum Quantity {
  private static let sizes: [String: Double] = [
    "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1024, "mib": 1_048_576,
    "gib": 1_073_741_824, "tib": 1_099_511_627_776,
  ]
  private static let times: [String: Double] = [
    "": 1, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800,
  ]

  /// Bytes of `500MB`, `2 GiB`, `1024`; `nil` if the text is not a size.
  package static func bytes(_ text: String) -> Int? {
    guard let value = value(text, sizes), value < 1e18 else { return nil }
    return Int(value)
  }

  /// Seconds of `500ms`, `1.5 h`, `7d`, and plain seconds; `nil` if the text is not a duration.
  package static func seconds(_ text: String) -> Double? { value(text, times) }

  private static func value(_ text: String, _ units: [String: Double]) -> Double? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(number.count).filter { $0 != " " }.lowercased()
    guard let count = Double(number), let factor = units[unit] else { return nil }
    return count * factor
  }
}
