import Glibc
import LogFormat
import TaskLogPlugin

extension Recorder.Options {
  /// Options from the environment variables, which have the names that the recorder for Dask uses:
  /// `TASKLOG_LABELS`, `TASKLOG_REDACT`, `TASKLOG_MAX_ARGS_BYTES`, `TASKLOG_INCLUDE_HOOKS` and the like,
  /// `TASKLOG_ROTATE_SIZE`, `TASKLOG_ROTATE_AGE`, `TASKLOG_SPOOL_LIMIT`, `TASKLOG_SYNC_SECONDS`,
  /// `TASKLOG_CLOSE_SECONDS`, `TASKLOG_KEEP`, `TASKLOG_DELIVER`, `TASKLOG_DELIVER_EVERY`,
  /// `TASKLOG_DELIVER_SECONDS`. The user of a program can so set what its author has left open. A
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

  /// - Returns: the options, and the sorted names of variables that look like options and are none.
  static func read(
    _ variables: [String: String]
  ) throws(RecordingError) -> (options: Recorder.Options, unknown: [String]) {
    var options = Recorder.Options()
    func read<T>(
      _ name: EnvironmentVariable, _ expected: String, _ parse: (String) -> T?
    ) throws(RecordingError) -> T? {
      guard let text = variables[name.rawValue], !text.isEmpty else { return nil }
      guard let value = parse(text) else {
        throw .wrongVariable(name.rawValue, value: text, expected: expected)
      }
      return value
    }
    func size(_ name: EnvironmentVariable) throws(RecordingError) -> Int? {
      try read(name, "a size from 1 kiB to 16 TiB, such as 64MiB") {
        Quantity.bytes($0).flatMap { (1 << 10...1 << 44).contains($0) ? $0 : nil }
      }
    }
    func seconds(
      _ name: EnvironmentVariable, _ range: ClosedRange<Double>
    ) throws(RecordingError) -> Double? {
      let expected =
        range.lowerBound < 1
        ? "a duration such as 500ms or 1d" : "a duration of 1s or more, such as 30s or 1d"
      return try read(name, expected) {
        Quantity.seconds($0).flatMap { range.contains($0) ? $0 : nil }
      }
    }
    func text(_ name: EnvironmentVariable) -> String? {
      variables[name.rawValue].flatMap { $0.isEmpty ? nil : $0 }
    }
    /// Keys may contain commas.
    func patterns(_ name: EnvironmentVariable, by separator: Character = ";") -> [String] {
      (variables[name.rawValue] ?? "").split(separator: separator).map(trimmed)
        .filter { !$0.isEmpty }
    }
    options.labels = try read(.labels, "NAME=VALUE, several separated by ;", labels) ?? [:]
    options.redactedArgs = patterns(.redact, by: ",")
    options.maximumArgsBytes = try size(.maxArgsBytes)
    options.filter.includeHooks = patterns(.includeHooks, by: ",")
    options.filter.excludeHooks = patterns(.excludeHooks, by: ",")
    options.filter.includeKeys = patterns(.includeKeys)
    options.filter.excludeKeys = patterns(.excludeKeys)
    options.filter.includeSources = patterns(.includeSources)
    options.filter.excludeSources = patterns(.excludeSources)
    options.rotateBytes = try size(.rotateSize).map(Int64.init)
    options.rotateSeconds = try seconds(.rotateAge, 1...1e9)
    options.spoolLimit = try size(.spoolLimit)
    if let sync = try seconds(.syncSeconds, 0...86_400) { options.syncSeconds = sync }
    if let close = try seconds(.closeSeconds, 0...86_400) { options.closeSeconds = close }
    options.keep = text(.keep)
    options.deliver = text(.deliver)
    if let every = try seconds(.deliverEvery, 1...86_400) { options.deliverEverySeconds = every }
    if let last = try seconds(.deliverSeconds, 0...86_400) { options.deliverSeconds = last }
    return (options, variables.keys.filter(EnvironmentVariable.isUnknown).sorted())
  }

  /// Labels are separated by `;`, or by `,` where another `NAME=` follows: values may contain commas.
  private static func labels(_ text: String) -> [String: String]? {
    var labels: [String: String] = [:]
    for part in text.split(separator: ";") {
      var last: String?
      for piece in part.split(separator: ",", omittingEmptySubsequences: false) {
        if let sign = piece.firstIndex(of: "=") {
          let name = trimmed(piece[..<sign])
          guard !name.isEmpty else { return nil }
          labels[name] = trimmed(piece[piece.index(after: sign)...])
          last = name
        } else if let last {
          labels[last, default: ""] += ",\(piece)"
        } else if !trimmed(piece).isEmpty {
          return nil
        }
      }
    }
    return labels
  }

  private static func trimmed(_ text: Substring) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
