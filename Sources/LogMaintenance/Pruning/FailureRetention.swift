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
  func note(in run: RunInfo, _ connection: Connection) throws {
    guard hasFailures else { return }
    let note = try connection.prepare(
      "UPDATE run SET metadata = json_set(metadata, '$.\(RunMetadataKey.retainedKeys)', json(?)) WHERE id = ?"
    )
    try note.bind(1, "[" + keys.sorted().map(String.init).joined(separator: ",") + "]")
    try note.bind(2, run.number)
    try note.run()
  }

  func keeps(key: Int64?, hook: Int64) -> Bool {
    if let key { return keys.contains(key) }
    return hasFailures && hooks.contains(hook)
  }

  /// Finds what stays of the runs of a log.
  struct Finder {
    private let connection: Connection
    /// The runs in each file that may have a part of a run.
    private let files: [(reader: LogReader, runs: [String: RunInfo])]
    private let hooks: Set<Int64>

    /// - Parameter files: all files of each run: a task may have been submitted in one of them and
    ///   failed in another.
    init(files: [String], _ writer: LogWriter) throws {
      connection = writer.connection
      self.files = try files.map {
        let reader = try LogReader(path: $0)
        let runs = try reader.runs().map { ($0.id, $0) }
        return (reader, Dictionary(runs, uniquingKeysWith: { first, _ in first }))
      }
      var hooks: Set<Int64> = []
      let find = try connection.prepare("SELECT id FROM text WHERE text = ?")
      for hook in FailureRetention.keptHooks {
        defer { find.reset() }
        try find.bind(1, hook.name)
        if try find.step() { hooks.insert(find.integer(0)) }
      }
      self.hooks = hooks
    }

    func find(_ run: RunInfo) throws -> FailureRetention {
      let retained = try retained(run)
      var found = FailureRetention(hooks: hooks)
      guard !retained.isEmpty else { return found }
      let select = try connection.prepare("SELECT id, text, typed FROM key")
      while try select.step() {
        let key = Key(text: select.text(1), typed: select.text(2))
        if retained.contains(KeyHash.hash(of: key)) { found.keys.insert(select.integer(0)) }
      }
      return found
    }

    /// Hashes of the keys whose stories are retained.
    private func retained(_ run: RunInfo) throws -> Set<UInt64> {
      var retained: Set<UInt64> = []
      let parts = files.compactMap { file in file.runs[run.id].map { ($0, file.reader) } }
      for (part, reader) in parts {
        try retained.formUnion(failed(part, reader.connection))
        let find = try reader.connection.prepare("SELECT text, typed FROM key WHERE id = ?")
        for number in part.metadata[RunMetadataKey.retainedKeys]?.elements?.compactMap(\.int) ?? []
        {
          defer { find.reset() }
          try find.bind(1, number)
          guard try find.step() else { continue }
          retained.insert(KeyHash.hash(of: Key(text: find.text(0), typed: find.text(1))))
        }
      }
      guard !retained.isEmpty else { return [] }
      addDependencies(&retained, try parts.map { try $1.dependencies(of: $0) })
      return retained
    }

    /// Hashes of the keys of failed tasks.
    private func failed(_ run: RunInfo, _ connection: Connection) throws -> Set<UInt64> {
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

    private func addDependencies(_ retained: inout Set<UInt64>, _ graphs: [DependencyIndex]) {
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
}
