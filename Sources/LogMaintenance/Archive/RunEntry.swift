import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// What is known of a run: enough to list and to select it without reading its events.
package struct RunEntry: Sendable, Equatable {
  /// The row ID in the file.
  package var number: Int64
  package var id: String
  package var engine: String
  package var engineVersion: String
  /// Nanoseconds since 1970 UTC.
  package var started: Int64
  /// Nanoseconds since 1970 UTC; for a run that died, the time of its last event.
  package var ended: Int64?
  package var end: RunEnd
  /// See `RunInfo.asOf` and `RunInfo.runningAsOf`.
  package var (asOf, runningAsOf): (Int64?, Int64?)
  package var events: Int64 = 0
  package var tasks: Int64 = 0
  package var workers: Int64 = 0
  /// Number of events known to be missing.
  package var missing: Int64 = 0
  /// Number of workers without an end in the log.
  package var incomplete: Int64 = 0
  /// Number of tasks that ever became erred.
  package var failed: Int64 = 0
  /// A JSON object; `nil` if there are none.
  package var labelText: String?
  /// Those of `labelText`; what is no text is as in JSON.
  package private(set) var labels: [String: String] = [:]
  package var host: String?
  package var user: String?
  package var gitRevision: String?
  /// Where the scheduler ran: its host, node, container, pod, namespace and batch job.
  package var places: [String] = []
  /// The prefixes of its tasks, sorted.
  package var prefixes: [String] = []
  /// Whether other files may have segments or parts of it.
  package var isPart = false

  /// Its named jobs, clients and spans, if they were looked for; not part of the JSON.
  package var jobs: [Job] = []
  /// Whether nothing but a change of its file changes what is known of it; not part of the JSON.
  package var isFinal = true

  /// How it ended as far as the log can tell.
  package var apparentEnd: RunEnd { runningAsOf == nil ? end : .running }

  /// The seconds that it took; `nil` while it is running.
  package var duration: Double? {
    guard let ended, apparentEnd != .running else { return nil }
    return Double(ended.subtractingReportingOverflow(started).partialValue) / 1e9
  }
}

extension RunEntry {
  /// - Parameters:
  ///   - segments: those of one run, in the order of recording.
  ///   - origins: those of other runs of the same logs.
  ///   - isSelectable: whether prefixes and failures are read, too.
  /// - Throws: `LogError`.
  package init?(
    _ segments: [RunSegment], _ origins: inout RunOrigins, isSelectable: Bool = true
  ) throws {
    guard let run = segments.whole, let last = segments.last else { return nil }
    (number, id, engine, engineVersion) = (run.number, run.id, run.engine, run.engineVersion)
    (started, ended, end) = (run.started, run.ended, run.end)
    (asOf, runningAsOf) = (run.asOf, run.runningAsOf)
    let totals = try segments.totals()
    (events, tasks, workers) = (totals.events, totals.tasks, totals.workers)
    missing = totals.missing
    incomplete = Int64(try segments.incompleteWorkers().count)
    // The last segment has the labels that were added later.
    let origin = try origins.origin(of: last)
    (host, user, gitRevision) = (origin.host, origin.user, origin.gitRevision)
    (labelText, labels) = (origin.labels, Self.labels(origin.labels))
    places = run.places
    isFinal = last.run.isEndInLog && incomplete == 0
    isPart = run.isPartial || run.previousFile != nil || last.run.nextFile != nil
    guard isSelectable else { return }
    var prefixes: Set<String> = []
    for segment in segments {
      failed = max(failed, try segment.reader.failedTasks(of: segment.run))
      prefixes.formUnion(try segment.reader.prefixes(of: segment.run))
    }
    self.prefixes = prefixes.sorted()
  }

  private static func labels(_ json: String?) -> [String: String] {
    guard let json, case .dict(let entries)? = try? JSONReader.value(json) else { return [:] }
    var labels: [String: String] = [:]
    for entry in entries {
      guard let name = entry.key.string else { continue }
      labels[name] = entry.value.string ?? JSONWriter.text(entry.value)
    }
    return labels
  }
}

extension RunInfo {
  /// Where its scheduler ran, as `RunEntry.places`.
  fileprivate var places: [String] {
    var places: [String] = []
    func add(_ value: Value?) {
      if let text = value?.string, !text.isEmpty, !places.contains(text) { places.append(text) }
    }
    add(metadata[RunMetadataKey.host])
    let identity = metadata[RunMetadataKey.identity]
    for name in ["hostname", "node", "containerID", "pod", "namespace"] { add(identity?[name]) }
    if case .dict(let variables)? = identity?["job"] { for entry in variables { add(entry.value) } }
    return places
  }
}

extension LogReader {
  /// Number of tasks of a run that ever became erred.
  fileprivate func failedTasks(of run: RunInfo) throws -> Int64 {
    try translating {
      try integer("SELECT failed FROM runs WHERE run = ?", of: run) ?? 0
    }
  }

  /// The prefixes of the tasks of a run. The keys of a file tell if it has only this run.
  fileprivate func prefixes(of run: RunInfo) throws -> [String] {
    try translating {
      let isAlone = try connection.integer("SELECT count(*) FROM (SELECT 1 FROM run LIMIT 2)") == 1
      let keys = "SELECT key FROM event WHERE source IN (SELECT id FROM source WHERE run = ?1)"
      let select = """
        SELECT text FROM text WHERE id IN (
          SELECT prefix FROM key WHERE \(isAlone ? "?1 IS NOT NULL" : "id IN (\(keys))"))
        """
      return try withStatement(select, of: run) { select throws(SQLiteError) in
        var prefixes: [String] = []
        while try select.step() { prefixes.append(select.text(0)) }
        return prefixes
      }
    }
  }
}

/// As JSON, for a catalogue.
extension RunEntry {
  package var value: Value {
    func optional(_ text: String?) -> Value { text.map { .string($0) } ?? .null }
    return .object([
      "number": .int(number), "id": .string(id), "engine": .string(engine),
      "version": .string(engineVersion), "started": .int(started),
      "ended": ended.map { .int($0) } ?? .null, "end": .string(end.rawValue),
      "events": .int(events), "tasks": .int(tasks),
      "workers": .int(workers), "missing": .int(missing), "incomplete": .int(incomplete),
      "failed": .int(failed),
      "labels": optional(labelText), "host": optional(host), "user": optional(user),
      "git": optional(gitRevision),
      "places": .list(places.map { .string($0) }), "prefixes": .list(prefixes.map { .string($0) }),
      "part": .bool(isPart),
    ])
  }

  /// `nil` if the value is none of an entry.
  package init?(_ value: Value) {
    func text(_ name: String) -> String? { value[name]?.string }
    func texts(_ name: String) -> [String] {
      guard case .list(let items)? = value[name] else { return [] }
      return items.compactMap(\.string)
    }
    guard let number = value["number"]?.int, let id = text("id"), let engine = text("engine"),
      let version = text("version"), let started = value["started"]?.int,
      let end = text("end").flatMap(RunEnd.init(rawValue:)), let events = value["events"]?.int,
      let tasks = value["tasks"]?.int,
      let workers = value["workers"]?.int, let missing = value["missing"]?.int,
      let incomplete = value["incomplete"]?.int, let failed = value["failed"]?.int,
      let isPart = value["part"]?.bool
    else { return nil }
    (self.number, self.id, self.engine, engineVersion) = (number, id, engine, version)
    (self.started, ended, self.end) = (started, value["ended"]?.int, end)
    (self.events, self.tasks, self.workers, self.missing) = (events, tasks, workers, missing)
    (self.incomplete, self.failed, self.isPart) = (incomplete, failed, isPart)
    (host, user, gitRevision) = (text("host"), text("user"), text("git"))
    (labelText, labels) = (text("labels"), Self.labels(text("labels")))
    (places, prefixes) = (texts("places"), texts("prefixes"))
  }
}
