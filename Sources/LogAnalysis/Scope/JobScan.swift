import EventLog
import LogFormat
import TaskLogPlugin

/// What belongs together in a run: a named job, what a client submitted, or a span of Dask.
package struct Job: Sendable {
  package enum Kind: String, CaseIterable, Sendable {
    case job, client, span
  }

  package var kind: Kind
  package var name: String
  /// The clients that its tasks belong to, sorted.
  package var clients: [String] = []
  package var tasks: Int64 = 0
  /// The tasks that ever became erred, and those that were not over at the end of the log.
  package var failed: Int64 = 0
  package var unfinished: Int64 = 0
  /// Seconds of computing, of the results that the scheduler received.
  package var computeSeconds = 0.0
  /// The times of the first transition of its tasks and of the last one that was not merely a
  /// result's release, in nanoseconds since 1970 UTC; `nil` without a transition.
  package var started: Int64?
  package var stopped: Int64?
}

extension LogReader {
  /// The named jobs, clients and spans of a run that have tasks, in the order of their start. A task
  /// belongs to one client and to at most one named job, and may be in several spans.
  ///
  /// - Parameter scope: only its tasks count.
  /// - Throws: `LogError`.
  package func jobs(of run: RunInfo, in scope: RunScope? = nil) throws -> [Job] {
    guard let range = try range(of: run) else { return [] }
    return try translating {
      let members = try JobMembers(self, run, range)
      var scan = try JobScan(self, members)
      try scan.scan(run, range, scope)
      return scan.jobs
    }
  }
}

/// The tasks of each named job, client and span.
private struct JobMembers {
  private(set) var jobs: [(job: Job, tasks: RowIDSet)] = []

  init(_ reader: LogReader, _ run: RunInfo, _ range: ClosedRange<Int64>) throws {
    func scan(_ set: (inout ScopeFilter) -> Void) throws -> SubmissionScan {
      var filter = ScopeFilter()
      set(&filter)
      var scan = try SubmissionScan(reader, filter)
      try scan.scan(run, range)
      return scan
    }
    let all = try scan { ($0.jobs, $0.clients, $0.spans) = (["*"], ["*"], ["*"]) }
    for name in all.jobs.sorted() {
      add(.job, name, try scan { $0.jobs = [Self.literally(name)] }.ofJobs)
    }
    let spans = try all.spans.sorted().map { name in
      (name, try scan { $0.spans = [Self.literally(name)] }.inSpans)
    }
    for name in all.clients.sorted() {
      let tasks = try scan { $0.clients = [Self.literally(name)] }.ofClients
      add(.client, name, tasks)
      guard let tasks else { continue }
      for index in jobs.indices where jobs[index].job.kind == .job {
        addClient(name, tasks, to: index)
      }
    }
    for (name, tasks) in spans {
      add(.span, name, tasks)
      for client in jobs where client.job.kind == .client {
        addClient(client.job.name, client.tasks, to: jobs.count - 1)
      }
    }
  }

  private mutating func add(_ kind: Job.Kind, _ name: String, _ tasks: RowIDSet?) {
    jobs.append((Job(kind: kind, name: name), tasks ?? RowIDSet()))
    if kind == .client { jobs[jobs.count - 1].job.clients = [name] }
  }

  private mutating func addClient(_ name: String, _ tasks: RowIDSet, to index: Int) {
    if jobs[index].tasks.intersection(tasks).count > 0 { jobs[index].job.clients.append(name) }
  }

  /// A pattern that matches only a name.
  private static func literally(_ name: String) -> String {
    name.reduce(into: "") { pattern, character in
      pattern += "*?[".contains(character) ? "[\(character)]" : String(character)
    }
  }
}

/// Adds up what the tasks of jobs did, in one pass over the transitions of the scheduler.
private struct JobScan {
  private(set) var jobs: [Job]
  private let reader: LogReader
  private let tasks: [RowIDSet]
  private let states: ScopeScan.States
  private let releases: Set<Int64>

  init(_ reader: LogReader, _ members: JobMembers) throws {
    self.reader = reader
    jobs = members.jobs.map(\.job)
    tasks = members.jobs.map(\.tasks)
    states = try ScopeScan.States(reader)
    releases = Set(
      try [State.released, .forgotten].compactMap { try reader.number(ofText: $0.name) })
  }

  mutating func scan(_ run: RunInfo, _ range: ClosedRange<Int64>, _ scope: RunScope?) throws {
    let schedulers = SourceIndex(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler })
    let select = try reader.connection.prepare(
      """
      SELECT source, key, time, start, finish,
        CASE WHEN finish IN (\(states.memory), \(states.erred)) THEN args END
      FROM event
      WHERE seq BETWEEN ? AND ? AND hook = \(states.transition) AND key > 0 ORDER BY seq
      """)
    try select.bind(1, range.lowerBound)
    try select.bind(2, range.upperBound)
    var seen = tasks.map { _ in RowIDSet() }
    var failed = seen
    var unfinished = IntegersByKey<Int8>()
    while try select.step() {
      let (key, finish) = (select.integer(1), select.integer(4))
      guard schedulers.place(select.integer(0)) != nil, scope?.includes(task: key) ?? true
      else { continue }
      let time = select.integer(2)
      guard scope?.window.contains(time) ?? true else { continue }
      unfinished[key] = states.finished.contains(finish) ? 0 : 1
      let isFailure = finish == states.erred && select.integer(3) != finish
      let seconds = select.withText(5) { OutcomeScan($0).computeSeconds } ?? 0
      for index in jobs.indices where tasks[index].contains(key) {
        if seen[index].insert(key) { jobs[index].tasks += 1 }
        if isFailure, failed[index].insert(key) { jobs[index].failed += 1 }
        jobs[index].computeSeconds += seconds
        jobs[index].started = jobs[index].started ?? time
        if !releases.contains(finish) || jobs[index].stopped == nil { jobs[index].stopped = time }
      }
    }
    for index in jobs.indices {
      seen[index].visit { if unfinished[$0] != 0 { jobs[index].unfinished += 1 } }
    }
    jobs = jobs.filter { $0.tasks > 0 }.sorted {
      ($0.started ?? 0, $0.kind.order, $0.name) < ($1.started ?? 0, $1.kind.order, $1.name)
    }
  }
}

extension Job.Kind {
  fileprivate var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
