import EventLog
import LogFormat
import TaskLogPlugin

/// What belongs together in a run: a named job, what a client submitted, or a span of Dask.
package struct Job: Sendable, Equatable {
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

  package init(kind: Kind, name: String, clients: [String] = []) {
    (self.kind, self.name, self.clients) = (kind, name, clients)
  }
}

/// As JSON, for a catalogue.
extension Job {
  package var value: Value {
    .list([
      .string(kind.rawValue), .string(name), .list(clients.map { .string($0) }), .int(tasks),
      .int(failed), .int(unfinished), .double(computeSeconds), started.map { .int($0) } ?? .null,
      stopped.map { .int($0) } ?? .null,
    ])
  }

  /// `nil` if the value is none of a job.
  package init?(_ value: Value) {
    guard case .list(let row) = value, row.count == 9,
      let kind = row[0].string.flatMap(Kind.init(rawValue:)), let name = row[1].string,
      case .list(let clients) = row[2], let tasks = row[3].int, let failed = row[4].int,
      let unfinished = row[5].int, let seconds = row[6].number
    else { return nil }
    (self.kind, self.name, self.clients) = (kind, name, clients.compactMap(\.string))
    (self.tasks, self.failed, self.unfinished) = (tasks, failed, unfinished)
    (computeSeconds, started, stopped) = (seconds, row[7].int, row[8].int)
  }

  /// `nil` if the value is no list of jobs.
  package static func list(_ value: Value) -> [Job]? {
    guard case .list(let values) = value else { return nil }
    let jobs = values.compactMap { Job($0) }
    return jobs.count == values.count ? jobs : nil
  }

  /// Selects its tasks.
  package var scope: ScopeFilter {
    var filter = ScopeFilter()
    filter.add(self)
    return filter
  }
}

extension ScopeFilter {
  /// Whether it selects the tasks of jobs of a kind.
  package func selects(_ kind: Job.Kind) -> Bool {
    switch kind {
    case .job: !jobs.isEmpty
    case .client: !clients.isEmpty
    case .span: !spans.isEmpty
    }
  }

  /// Adds the tasks of a job to those that are selected.
  package mutating func add(_ job: Job) {
    let name = Glob.quoted(job.name)
    switch job.kind {
    case .job: jobs.append(name)
    case .client: clients.append(name)
    case .span: spans.append(name)
    }
  }
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
      let members = SubmissionMembers(reader: self, run: run, range: range)
      var scan = try JobScan(self, try members.all())
      try scan.scan(run, range, scope)
      return scan.jobs
    }
  }
}

extension SubmissionMembers {
  /// The named jobs, clients and spans, each with its tasks.
  fileprivate func all() throws -> [(job: Job, tasks: RowIDSet)] {
    let clients = try clients()
    func all(_ kind: Job.Kind, _ found: Members) -> [(job: Job, tasks: RowIDSet)] {
      found.map { name, tasks in
        let owners = clients.filter { $0.tasks.intersection(tasks).count > 0 }.map(\.name)
        return (Job(kind: kind, name: name, clients: kind == .client ? [name] : owners), tasks)
      }
    }
    return all(.job, try jobs()) + all(.client, clients) + all(.span, try spans())
  }
}

/// Adds up what the tasks of jobs did, in one pass over the transitions of the scheduler.
private struct JobScan {
  private(set) var jobs: [Job]
  private let reader: LogReader
  private let tasks: [RowIDSet]
  private let states: ScopeScan.States
  private let releases: Set<Int64>

  init(_ reader: LogReader, _ members: [(job: Job, tasks: RowIDSet)]) throws {
    self.reader = reader
    jobs = members.map(\.job)
    tasks = members.map(\.tasks)
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
