import EventLog
import LogFormat
import TaskLogPlugin

/// Finds the task that each failed task blames, as in the view `failures`.
///
/// The scheduler says which task it blames. If a log does not have that, it is the dependency that
/// erred last before the task and has not come to memory since, or the task that this dependency
/// blames; if there is no graph, the only task that has failed on its own in the same stimulus.
struct BlameFinder {
  /// In the order of arrival.
  private(set) var failures: [RunFailures.Failure] = []
  /// Blamed names that are not keys of this log.
  private(set) var unresolved: [String] = []

  private let reader: LogReader
  private let run: RunInfo
  private let selectKey: Statement
  private let selectSince: Statement
  /// Read when the first task does not say which task it blames.
  private var graphs: GraphDependencies?
  /// The last failure of each key, and its last failure on its own.
  private var last: [Int64: Int] = [:]
  private var own: [Int64: Int64] = [:]
  /// The task that failed on its own last in each stimulus; no key if there were several.
  private var byStimulus: [Int64: (key: Int64?, seq: Int64)] = [:]
  /// The name that was looked up last: thousands may blame one task.
  private var lastName: (json: String, blamed: RunFailures.Blamed)?

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    self.run = run
    selectKey = try reader.connection.prepare("SELECT id FROM key WHERE text = ? AND typed = ?")
    selectSince = try reader.connection.prepare(
      """
      SELECT 1 FROM event WHERE key = ? AND source = ? AND seq BETWEEN ? AND ?
        AND +hook = (SELECT id FROM text WHERE text = 'transition')
        AND +finish IN (SELECT id FROM text WHERE text IN ('memory', 'forgotten')) LIMIT 1
      """)
  }

  /// - Parameter failed: comes after those that were added before.
  mutating func add(_ failed: FailurePart.Failed) throws {
    var failure = RunFailures.Failure(seq: failed.seq, key: failed.key)
    if let blame = failed.blame, let blamed = try name(blame) {
      failure.blamed = blamed
      if case .key(let key) = blamed {
        failure.causeSeq = key == failed.key ? failed.seq : own[key]
      }
    } else if failed.looks == .certainlyOwn {
      failure.causeSeq = failed.seq
    } else if let before = try dependency(of: failed) {
      failure.causeSeq = failures[before].causeSeq
    } else if failed.looks == .own {
      failure.causeSeq = failed.seq
    } else if let cause = failed.stimulus.flatMap({ byStimulus[$0] }), cause.key != nil {
      failure.causeSeq = cause.seq
    }
    if failure.isOwn {
      own[failed.key] = failed.seq
      if let stimulus = failed.stimulus {
        let isOther = byStimulus[stimulus].map { $0.key != failed.key } ?? false
        byStimulus[stimulus] = (isOther ? nil : failed.key, failed.seq)
      }
    }
    last[failed.key] = failures.count
    failures.append(failure)
  }

  /// What a name means; `nil` if the value was not kept.
  private mutating func name(_ json: String) throws -> RunFailures.Blamed? {
    if let lastName, lastName.json.sameBytes(as: json) { return lastName.blamed }
    if json.hasPrefix(#"{"$capped":"#) || json.hasPrefix(#"{"$opaque":"#) { return nil }
    let value = try? JSONReader.value(json)
    let key = value.flatMap(Key.init)
    var found = RunFailures.Blamed.unresolved(unresolved.count)
    if let key {
      defer { selectKey.reset() }
      try selectKey.bind(1, key.text)
      try selectKey.bind(2, key.typed)
      if try selectKey.step() { found = .key(selectKey.integer(0)) }
    }
    if case .unresolved = found {
      unresolved.append(json.contains(#"\u0000"#) ? json : value?.string ?? json)
    }
    lastName = (json, found)
    return found
  }

  /// The dependency that failed last and is still without a result.
  private mutating func dependency(of failed: FailurePart.Failed) throws -> Int? {
    let graphs = try graphs ?? GraphDependencies(reader, run)
    self.graphs = graphs
    guard let key = try reader.keys.element(failed.key) else { return nil }
    var found: Int?
    for dependency in try graphs.dependencies(of: key) {
      guard let before = last[dependency], before > found ?? -1 else { continue }
      defer { selectSince.reset() }
      try selectSince.bind(1, dependency)
      try selectSince.bind(2, failed.source)
      try selectSince.bind(3, failures[before].seq)
      try selectSince.bind(4, failed.seq)
      if try !selectSince.step() { found = before }
    }
    return found
  }
}
