import TaskLogPlugin

extension Recorder {
  /// Which events are recorded. An event is recorded if its hook, its key and its source each match
  /// an include pattern, if there are any, and no exclude pattern. In patterns, `*` matches any
  /// characters, `?` one, and `[ab]` one of a set.
  ///
  /// Excluded events are counted in the log by the mark `excluded` and get no source_seq: they
  /// leave no gap. Marks that a recording needs (`attach`, `detach`, `report`) are always recorded.
  public struct Filter: Sendable, Equatable {
    /// Names of hooks and marks, such as `transition` or `add*`; case and `_` are ignored.
    public var includeHooks: [String] = []
    public var excludeHooks: [String] = []
    /// Keys. Events without a key always match.
    public var includeKeys: [String] = []
    public var excludeKeys: [String] = []
    /// `scheduler`, `worker`, or the id, address or name of one.
    public var includeSources: [String] = []
    public var excludeSources: [String] = []

    public init() {}

    var isEmpty: Bool { self == Filter() }

    /// - Throws: `RecordingError.unknownHook`.
    func check() throws(RecordingError) {
      for pattern in includeHooks + excludeHooks {
        let patterns = Self.hookPatterns([pattern])
        guard Hook.known.contains(where: { patterns.matches($0.name) }) else {
          throw .unknownHook(pattern)
        }
      }
    }

    static func hookPatterns(_ patterns: [String]) -> NamePatterns {
      NamePatterns(patterns.map { $0.filter { $0 != "_" } }, ignoresCase: true)
    }

    /// The option names and patterns, as stored in the log.
    var facts: [(name: String, patterns: [String])] {
      [
        ("includeHooks", includeHooks), ("excludeHooks", excludeHooks),
        ("includeKeys", includeKeys), ("excludeKeys", excludeKeys),
        ("includeSources", includeSources), ("excludeSources", excludeSources),
      ]
    }
  }
}

/// An invalid option of a recorder.
public enum RecordingError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownHook(String)
  case rotationWithoutRun(log: String)
  case wrongTemplate(log: String)
  case wrongRotation
  case wrongDelivery
  case wrongRetention(String)
  case wrongVariable(String, value: String, expected: String)

  public var description: String {
    switch self {
    case .unknownHook(let pattern):
      "'\(pattern)' matches no hook; the hooks are "
        + Hook.known.map(\.name).joined(separator: ", ")
    case .rotationWithoutRun(let log):
      "\(log): rotation needs {run} in the name of the log, such as logs/{run}.db"
    case .wrongTemplate(let log):
      "\(log): expected {run} once, in the file name, such as logs/{run}.db"
    case .wrongRotation:
      "expected rotation after at least 65536 bytes, or at least one second"
    case .wrongDelivery:
      "expected copies of the log to be delivered every 1 to 86400 seconds, and the last one to take "
        + "at most 86400 seconds"
    case .wrongRetention(let text):
      "keep '\(text)': expected an age of at least 1s, a size of at least 1MiB, or both, such as "
        + "7d,20GiB, and failures in addition if stories of failed tasks are to stay"
    case .wrongVariable(let name, let value, let expected):
      "\(name)=\(value): expected \(expected)"
    }
  }
}

/// The filter as it applies to one source.
struct SourceFilter: Sendable {
  /// By the index of each known hook.
  private let hooks: [Bool]
  private let includeHooks: NamePatterns
  private let excludeHooks: NamePatterns
  private let includeKeys: NamePatterns
  private let excludeKeys: NamePatterns
  private let hasKeys: Bool

  /// `nil` if everything is recorded.
  init?(_ filter: Recorder.Filter, _ source: Source) {
    guard !filter.isEmpty else { return nil }
    let includeHooks = Recorder.Filter.hookPatterns(filter.includeHooks)
    let excludeHooks = Recorder.Filter.hookPatterns(filter.excludeHooks)
    func isIn(_ name: String) -> Bool {
      (includeHooks.isEmpty || includeHooks.matches(name)) && !excludeHooks.matches(name)
    }
    let names = [source.kind.rawValue, source.id, source.address, source.name.plainText]
    let includeSources = NamePatterns(filter.includeSources)
    let excludeSources = NamePatterns(filter.excludeSources)
    let isSourceIn =
      (includeSources.isEmpty || names.contains(where: includeSources.matches))
      && !names.contains(where: excludeSources.matches)
    hooks = Hook.known.map { hook in
      switch hook {
      case .attach, .detach, .report, .excluded: true
      default: isSourceIn && isIn(hook.name)
      }
    }
    // For an excluded source, this also excludes hooks that are not among the known ones.
    self.includeHooks = includeHooks
    self.excludeHooks = isSourceIn ? excludeHooks : NamePatterns(["*"])
    includeKeys = NamePatterns(filter.includeKeys)
    excludeKeys = NamePatterns(filter.excludeKeys)
    hasKeys = !includeKeys.isEmpty || !excludeKeys.isEmpty
  }

  func admits(_ hook: Hook, _ key: Key?) -> Bool {
    guard let isIncluded = hook.place.map({ hooks[$0] })
    else { return admits(name: hook.name, key) }
    guard isIncluded, hasKeys, let key, hook != .report else { return isIncluded }
    return admits(key)
  }

  private func admits(name: String, _ key: Key?) -> Bool {
    (includeHooks.isEmpty || includeHooks.matches(name)) && !excludeHooks.matches(name)
      && key.map(admits) ?? true
  }

  private func admits(_ key: Key) -> Bool {
    (includeKeys.isEmpty || includeKeys.matches(key.text)) && !excludeKeys.matches(key.text)
  }
}

extension Value {
  /// A name as users write it: text without quotes.
  fileprivate var plainText: String { string ?? JSONWriter.text(self) }
}
