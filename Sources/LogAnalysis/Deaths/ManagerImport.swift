import EventLog
import LogFormat
import TaskLogPlugin

/// Adds what managers said about the ends of workers to the runs of logs: as events of the hook
/// `manager`, each import as another source. What is in the log already is not added again.
package struct ManagerImport {
  /// A report that is about a worker.
  package struct Joined: Sendable {
    package var run: Int64
    package var worker: String
    package var fact: ManagerFact
    /// Whether it was not in the log before.
    package var isNew: Bool
  }

  /// A report that is about no worker of the logs.
  package struct Missed: Sendable {
    package var report: ManagerReport
    package var miss: ManagerJoin.Miss
  }

  package private(set) var joined: [Joined] = []
  package private(set) var missed: [Missed] = []

  private struct Run {
    var path: String
    var info: RunInfo
    var workers: [IdentifiedWorker]
  }

  /// - Parameter paths: logs; the segments of a run may be among them.
  /// - Throws: `LogError`.
  package init(_ reports: [ManagerReport], into paths: [String]) throws {
    var runs: [Run] = []
    for path in paths {
      let reader = try LogReader(path: path)
      for info in try reader.runs() {
        runs.append(
          Run(path: path, info: info, workers: try reader.identifiedWorkers(of: info)))
      }
    }
    Self.shareIdentities(&runs)
    let joins = runs.map { ManagerJoin($0.workers) }
    var found: [[(worker: Int, fact: ManagerFact)]] = runs.map { _ in [] }
    for report in reports {
      var miss = ManagerJoin.Miss.identity
      var isJoined = false
      for index in runs.indices {
        switch joins[index].find(report) {
        case .success(let (workers, fact)):
          isJoined = true
          found[index] += workers.map { ($0, fact) }
        case .failure(let failure):
          if failure.miss != .identity { miss = failure.miss }
        }
      }
      if !isJoined { missed.append(Missed(report: report, miss: miss)) }
    }
    for (run, facts) in zip(runs, found) where !facts.isEmpty { try add(facts, to: run) }
  }

  /// A worker tells who it is in the segment in which it began.
  private static func shareIdentities(_ runs: inout [Run]) {
    var known: [String: HostIdentity] = [:]
    for run in runs {
      for worker in run.workers {
        guard let server = worker.serverID, let identity = worker.identity else { continue }
        known["\(run.info.id) \(server)"] = identity
      }
    }
    for run in runs.indices {
      for worker in runs[run].workers.indices where runs[run].workers[worker].identity == nil {
        runs[run].workers[worker].identity = runs[run].workers[worker].serverID.flatMap {
          known["\(runs[run].info.id) \($0)"]
        }
      }
    }
  }

  private mutating func add(
    _ facts: [(worker: Int, fact: ManagerFact)], to run: Run
  ) throws {
    let writer = try LogWriter(path: run.path)
    defer { writer.close() }
    do {
      let added = try writer.transaction(synced: true) {
        var known = try Self.known(writer, run.info)
        var added: [Joined] = []
        var source: Int64?
        var sourceSeq: Int64 = 0
        for (index, fact) in facts {
          let worker = run.workers[index]
          let isNew = known.insert(Self.name(worker.address, worker.life, fact)).inserted
          added.append(
            Joined(
              run: run.info.number, worker: WorkerLives.label(worker.address, worker.life),
              fact: fact, isNew: isNew))
          guard isNew else { continue }
          let own = try source ?? Self.addSource(writer, run.info)
          source = own
          sourceSeq += 1
          try writer.append(
            // Not after the end of the worker: a run does not get longer by what is known of it.
            Event(
              .manager, time: min(fact.time, worker.left ?? fact.time), worker: worker.address,
              args: fact.args(about: worker)), source: own, sourceSeq: sourceSeq)
        }
        return added
      }
      joined += added
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: run.path, reason: error.message)
    }
  }

  private static func addSource(_ writer: LogWriter, _ run: RunInfo) throws -> Int64 {
    try writer.add(
      Source(kind: .command, id: "import-deaths-" + RunID.make(), address: "tasklog import"),
      run: run.number)
  }

  private static func known(_ writer: LogWriter, _ run: RunInfo) throws -> Set<String> {
    let select = try writer.connection.prepare(
      """
      SELECT (SELECT text FROM text WHERE id = event.worker), event.args
      FROM hook_event JOIN event ON event.seq = hook_event.seq
      JOIN source ON source.id = event.source
      WHERE hook_event.hook = (SELECT id FROM text WHERE text = 'manager') AND source.run = ?
      """)
    try select.bind(1, run.number)
    var known: Set<String> = []
    while try select.step() {
      guard let args = try? JSONReader.value(select.text(1)), let fact = ManagerFact(args) else {
        continue
      }
      known.insert(name(select.text(0), args["life"]?.int ?? 1, fact))
    }
    return known
  }

  private static func name(_ worker: String, _ life: Int64, _ fact: ManagerFact) -> String {
    "\(worker) \(life) \(fact.name)"
  }
}
