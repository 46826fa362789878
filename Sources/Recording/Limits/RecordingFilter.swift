import TaskLogPlugin

extension Recorder {
  /// Which events are recorded. An event goes in when its hook, its key and its source each match a
  /// pattern that includes, where there is one, and none that excludes. Patterns have `*` for any
  /// characters and `?` for one.
  ///
  /// What is left out is counted in the log by the mark `excluded`, and takes no number from the
  /// other events: it is no gap. Marks that a recording needs (`attach`, `detach`, `report`) always
  /// go in.
  public struct Filter: Sendable, Equatable {
    /// Names of hooks and marks, as `transition` or `add*`; capital letters and `_` do not matter.
    public var includeHooks: [String] = []
    public var excludeHooks: [String] = []
    /// Keys. Events without a key are not concerned.
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

    /// As it stands in the log.
    var facts: [(name: String, patterns: [String])] {
      [
        ("includeHooks", includeHooks), ("excludeHooks", excludeHooks),
        ("includeKeys", includeKeys), ("excludeKeys", excludeKeys),
        ("includeSources", includeSources), ("excludeSources", excludeSources),
      ]
    }
  }
}

/// An option of a recorder that cannot be.
public enum RecordingError: Error, Sendable, Equatable, CustomStringConvertible {
  case unknownHook(String)
  case rotationWithoutRun(log: String)
  case wrongTemplate(log: String)
  case wrongRotation
  case wrongVariable(String, value: String, expected: String)

  public var description: String {
    switch self {
    case .unknownHook(let pattern):
      "'\(pattern)' is the name of no hook; hooks are "
        + Hook.known.map(\.name).joined(separator: ", ")
    case .rotationWithoutRun(let log):
      "\(log): a run that goes on in other files needs {run} in the name of the log, as logs/{run}.db"
    case .wrongTemplate(let log):
      "\(log): {run} stands once, and in the name of the file; write logs/{run}.db"
    case .wrongRotation:
      "a run goes on in another file after at least 65536 bytes, or a second; give more"
    case .wrongVariable(let name, let value, let expected):
      "\(name)=\(value): has to be \(expected)"
    }
  }
}

/// What a filter lets through of one source.
struct SourceFilter: Sendable {
  /// By the place of each hook that is known.
  private let hooks: [Bool]
  private let includeHooks: NamePatterns
  private let excludeHooks: NamePatterns
  private let includeKeys: NamePatterns
  private let excludeKeys: NamePatterns
  private let hasKeys: Bool

  /// Nothing when everything is let through.
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
    // Of a source that is left out, also what has no place among those that are known.
    self.includeHooks = includeHooks
    self.excludeHooks = isSourceIn ? excludeHooks : NamePatterns(["*"])
    includeKeys = NamePatterns(filter.includeKeys)
    excludeKeys = NamePatterns(filter.excludeKeys)
    hasKeys = !includeKeys.isEmpty || !excludeKeys.isEmpty
  }

  func admits(_ hook: Hook, _ key: Key?) -> Bool {
    guard let place = hook.place.map({ hooks[$0] }) else { return admits(name: hook.name, key) }
    guard place, hasKeys, let key, hook != .report else { return place }
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
  /// A name as people write it: text without quotes.
  fileprivate var plainText: String { string ?? JSONWriter.text(self) }
}
