import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// The events of a run that stay if the stories of failed tasks are retained: those about tasks
/// that erred at the scheduler or at a worker, and about everything that these needed; and those
/// that are about no task and small, such as workers that join or leave.
struct FailureRetention {
  /// Hooks that are about no task, and show where tasks ran.
  private static let keptHooks: [Hook] = [
    .start, .beforeClose, .close, .restart, .addWorker, .removeWorker, .setup, .teardown, .attach,
    .detach,
  ]

  private var keys: Set<Int64> = []
  private var hooks: Set<Int64> = []
  /// Whether any task has failed: otherwise nothing stays.
  private var hasFailures: Bool { !keys.isEmpty }

  /// Records in the run's metadata which events stay: when it is pruned again, or once more after
  /// an interruption, the graphs that contain the dependencies of tasks may be gone.
  ///
  /// - Parameter files: all files of the run: a task may have been submitted in one of them and
  ///   failed in another.
  init(_ run: RunInfo, files: [String], _ writer: LogWriter) throws {
    let connection = writer.connection
    let retained = try Self.retained(run, files)
    let select = try connection.prepare("SELECT id, text, typed FROM key")
    while try select.step() {
      let key = Key(text: select.text(1), typed: select.text(2))
      if retained.contains(KeyHash.hash(of: key)) { keys.insert(select.integer(0)) }
    }
    for hook in Self.keptHooks {
      let find = try connection.prepare("SELECT id FROM text WHERE text = ?")
      try find.bind(1, hook.name)
      if try find.step() { hooks.insert(find.integer(0)) }
    }
    guard hasFailures else { return }
    let note = try connection.prepare(
      "UPDATE run SET metadata = json_set(metadata, '$.\(RunMetadataKey.retainedKeys)', json(?)) WHERE id = ?"
    )
    try writer.transaction {
      try note.bind(1, "[" + keys.sorted().map(String.init).joined(separator: ",") + "]")
      try note.bind(2, run.number)
      try note.run()
    }
  }

  /// Hashes of the keys whose stories are retained.
  private static func retained(_ run: RunInfo, _ files: [String]) throws -> Set<UInt64> {
    var retained: Set<UInt64> = []
    var graphs: [DependencyIndex] = []
    for path in files {
      let reader = try LogReader(path: path)
      guard let part = try reader.runs().first(where: { $0.id == run.id }) else { continue }
      try retained.formUnion(failed(part, reader.connection))
      let find = try reader.connection.prepare("SELECT text, typed FROM key WHERE id = ?")
      for number in part.metadata[RunMetadataKey.retainedKeys]?.elements?.compactMap(\.int) ?? [] {
        defer { find.reset() }
        try find.bind(1, number)
        guard try find.step() else { continue }
        retained.insert(KeyHash.hash(of: Key(text: find.text(0), typed: find.text(1))))
      }
      graphs.append(try reader.dependencies(of: part))
    }
    addDependencies(&retained, graphs)
    return retained
  }

  func keeps(key: Int64?, hook: Int64) -> Bool {
    if let key { return keys.contains(key) }
    return hasFailures && hooks.contains(hook)
  }

  /// Hashes of the keys of failed tasks.
  private static func failed(_ run: RunInfo, _ connection: Connection) throws -> Set<UInt64> {
    guard let first = run.firstSeq, let last = run.lastSeq else { return [] }
    let select = try connection.prepare(
      """
      SELECT DISTINCT key.text, key.typed FROM event
      JOIN source ON source.id = event.source AND source.run = ?
      JOIN key ON key.id = event.key
      WHERE event.seq BETWEEN ? AND ?
        AND event.finish IN (SELECT id FROM text WHERE text IN ('erred', 'error'))
      """)
    try select.bind(1, run.number)
    try select.bind(2, first)
    try select.bind(3, last)
    var hashes: Set<UInt64> = []
    while try select.step() {
      hashes.insert(KeyHash.hash(of: Key(text: select.text(0), typed: select.text(1))))
    }
    return hashes
  }

  private static func addDependencies(_ retained: inout Set<UInt64>, _ graphs: [DependencyIndex]) {
    var waiting = Array(retained)
    while let hash = waiting.popLast() {
      for graph in graphs {
        guard let task = graph.task(hash: hash) else { continue }
        for dependency in graph.dependencies(of: task) {
          let hash = graph.hash(of: Int(dependency))
          if retained.insert(hash).inserted { waiting.append(hash) }
        }
      }
    }
  }
}
