import EventLog
import LogAnalysis
import LogFormat

/// What went wrong in a run, as a terminal shows it: a block for each cause, with the commands that
/// tell more of it.
struct FailureBlocks {
  /// At most so many causes are shown, and so many keys or workers of each.
  private static let mostCauses = 10
  private static let examples = 5

  private var block: TextBlock

  /// - Throws: `LogError`.
  static func text(
    _ reader: LogReader, _ runs: [(RunInfo, RunFailures)], in scopes: RunScopes,
    _ terminal: Terminal
  ) throws -> String {
    var blocks = FailureBlocks(block: TextBlock(terminal))
    for (run, failures) in runs { try blocks.add(reader, run, failures, scopes[run]) }
    return blocks.block.text
  }

  private mutating func add(
    _ reader: LogReader, _ run: RunInfo, _ failures: RunFailures, _ scope: RunScope?
  ) throws {
    let counts = try failures.counts()
    let hasDied = run.hasDied && scope?.includesEnd(of: run) ?? true
    let causes = try failures.causes(examples: Self.examples)
    let atWorkers = try failures.workerFailureGroups(examples: Self.examples)
    let lost = try reader.lostWorkers(of: run, keys: Self.examples, in: scope)
    let hasKilled = causes.contains(where: Self.isKilledWorker)
    let ends = try lost.isEmpty && !hasKilled ? [] : reader.workerEnds(of: run)
    block.space()
    if counts.own + counts.affected == 0, atWorkers.isEmpty, lost.isEmpty, !hasDied {
      let soFar = run.end == .running ? " so far" : ""
      return block.prose("Run #\(run.number): no task failed\(soFar), and no worker was lost.")
    }
    block.prose(
      "Run #\(run.number): \(Self.count(counts, atWorkers: atWorkers.reduce(0) { $0 + $1.tasks }))."
    )
    if hasDied { try addDeath(of: run, reader, scope) }
    for cause in causes.prefix(Self.mostCauses) {
      add(cause, Self.isKilledWorker(cause) ? ends : [])
    }
    if causes.count > Self.mostCauses {
      block.space()
      block.prose("… and \(Units.count(Int64(causes.count - Self.mostCauses), "more cause")):")
      block.commands([("errors --table causes", "all causes")], indent: 2)
    }
    let hasUnfinished =
      try !atWorkers.isEmpty && reader.unfinishedTasks(of: run, keys: 0, in: scope).count > 0
    for failure in atWorkers.prefix(Self.mostCauses) { add(failure, hasUnfinished) }
    if atWorkers.count > Self.mostCauses {
      block.space()
      block.prose("… and \(Units.count(Int64(atWorkers.count - Self.mostCauses))) more at workers:")
      block.commands([("errors --table at_workers", "all of them")], indent: 2)
    }
    if !lost.isEmpty { add(lost, ends) }
  }

  /// `1 task failed, and 30 others because of it`.
  private static func count(_ counts: (own: Int64, affected: Int64), atWorkers: Int64) -> String {
    var parts: [String] = []
    if counts.own > 0 || counts.affected > 0 {
      parts.append("\(Units.count(counts.own, "task")) failed")
    }
    if counts.affected > 0 {
      parts.append(
        "\(Units.count(counts.affected, "other task")) because of "
          + (counts.own == 1 ? "it" : "them"))
    }
    if atWorkers > 0 {
      parts.append("\(Units.count(atWorkers, "failure")) that only a worker saw")
    }
    return parts.isEmpty ? "no task failed" : parts.joined(separator: ", ")
  }

  // MARK: - Causes

  /// Dask's exception for a task whose workers died, one after the other.
  private static func isKilledWorker(_ cause: ErrorCause) -> Bool {
    ExceptionText.forPeople(cause.exception.plainText).hasPrefix("KilledWorker")
  }

  /// - Parameter ends: those among which are the ends of the workers that its tasks were assigned to;
  ///   empty unless they are why it failed.
  private mutating func add(_ cause: ErrorCause, _ ends: [WorkerEnd]) {
    addException(cause.exception)
    let workers = cause.workerAddresses
    if cause.tasks == 1 {
      block.keys("In", cause.keys, of: 1, indent: 2)
      let place = workers.first.map { "On \($0) at" } ?? "At"
      let retries =
        cause.retries > 0 ? ", after \(Units.count(cause.retries, "retry", "retries"))" : ""
      block.prose("\(place) \(Units.timeOfDay(cause.firstTime))\(retries).", indent: 2)
    } else {
      block.keys("In \(Units.count(cause.tasks, "task")):", cause.keys, of: cause.tasks, indent: 2)
      if !workers.isEmpty {
        block.keys(
          "On \(Units.count(cause.workers, "worker")):", workers, of: cause.workers, indent: 2)
      }
      block.prose("First at \(Units.timeOfDay(cause.firstTime)).", indent: 2)
    }
    for end in ends where end.isUnexpected && end.processing.keys.contains(cause.firstKey) {
      block.prose(
        "\(Reports.label(end)) left at \(Units.timeOfDay(end.time)) with it: "
          + "\(end.verdict.cause.rawValue).", indent: 2)
      Reports.addCause(end, to: &block, indent: 4)
    }
    addTraceback(cause.firstTraceback, of: cause.tasks > 1 ? cause.firstKey : nil)
    if cause.dependents > 0 {
      let dependents =
        "\(Units.count(cause.dependents, "other task")) failed because of \(cause.tasks == 1 ? "it" : "them")"
      if cause.dependentKeys.isEmpty {
        // They are outside of the selected part.
        block.prose("\(dependents).", indent: 2)
      } else {
        block.keys("\(dependents):", cause.dependentKeys, of: cause.dependents, indent: 2)
      }
    }
    var next: [(String, String)] = []
    if let story = TextBlock.story(cause.firstKey) { next.append((story, "what happened to it")) }
    if cause.tasks > Int64(cause.keys.count) {
      next.append(("errors --table errors", "all tasks that failed on their own"))
    }
    if cause.dependents > Int64(cause.dependentKeys.count) {
      next.append(("errors --table affected", "all tasks that failed because of others"))
    }
    block.commands(next, indent: 2)
  }

  private mutating func add(_ failure: WorkerFailureGroup, _ hasUnfinished: Bool) {
    addException(failure.first.exception)
    block.prose(
      "Only at \(failure.workers == 1 ? "the worker \(failure.first.worker)" : Units.count(failure.workers, "worker")), "
        + "first at \(Units.timeOfDay(failure.first.time)). The scheduler was not told, so tasks that "
        + "need it may wait for ever.", indent: 2)
    block.keys(
      "In \(Units.count(failure.tasks, "task")):", failure.keys, of: failure.tasks, indent: 2)
    addTraceback(failure.first.traceback, of: failure.tasks > 1 ? failure.first.key : nil)
    var next: [(String, String)] = []
    if let story = TextBlock.story(failure.first.key) {
      next.append((story, "what happened to it"))
    }
    if hasUnfinished { next.append(("open", "tasks that were never finished")) }
    block.commands(next, indent: 2)
  }

  private mutating func addException(_ exception: SQLiteValue) {
    block.space()
    var lines = ["no exception was recorded"]
    if exception != .null, !exception.plainText.isEmpty {
      lines = ExceptionText.forPeople(exception.plainText).split(
        separator: "\n", omittingEmptySubsequences: false
      ).map(String.init)
    }
    for line in lines { block.trouble(line) }
  }

  private mutating func addTraceback(_ traceback: SQLiteValue, of key: String?) {
    let text = traceback.plainText.trimmingNewlines
    guard !text.isEmpty else { return }
    if let key {
      block.keys("Traceback of", [key], of: 1, indent: 2)
    } else {
      block.prose("Traceback:", indent: 2)
    }
    block.verbatim(text, indent: 2)
  }

  // MARK: - The scheduler and workers

  private mutating func addDeath(
    of run: RunInfo, _ reader: LogReader, _ scope: RunScope?
  ) throws {
    block.space()
    block.trouble("The scheduler died")
    let ended = run.ended.map { " The last event is of \(Units.second($0)) UTC." } ?? ""
    block.prose(
      "It was killed or lost, or its process ended without closing it; why is not in the log.\(ended)",
      indent: 2)
    let unfinished = try reader.unfinishedTasks(of: run, keys: Self.examples, in: scope)
    if unfinished.count > 0 {
      block.keys(
        "\(Units.count(unfinished.count, "task")) \(unfinished.count == 1 ? "was" : "were") unfinished:",
        unfinished.keys, of: unfinished.count, indent: 2)
      block.commands([("open", "unfinished tasks, and where they were")], indent: 2)
    }
  }

  private mutating func add(_ lost: [LostWorker], _ ends: [WorkerEnd]) {
    block.space()
    block.trouble(
      "\(Units.count(Int64(lost.count), "worker")) \(lost.count == 1 ? "was" : "were") lost")
    for worker in lost.prefix(Self.mostCauses) {
      let name =
        worker.name == "null" || worker.name.isEmpty ? "" : " (\(worker.name.withoutQuotes))"
      block.prose("At \(Units.timeOfDay(worker.time)): \(worker.address)\(name).", indent: 2)
      let end = ends.last { $0.address == worker.address && $0.time == worker.time }
      if let end { Reports.addCause(end, to: &block, indent: 4) }
      if worker.processing.count > 0 {
        block.keys(
          "\(Units.count(worker.processing.count, "task")) \(worker.processing.count == 1 ? "was" : "were") assigned to it:",
          worker.processing.keys, of: worker.processing.count, indent: 4)
      }
      if worker.recomputed > 0 {
        block.prose(
          "\(Units.count(worker.recomputed, "result")) \(worker.recomputed == 1 ? "was" : "were") lost "
            + "and had to be computed again.", indent: 4)
      }
      if worker.forgotten.count > 0 {
        block.keys(
          "Data was lost that cannot be computed again; cancelled with it:",
          worker.forgotten.keys, of: worker.forgotten.count, indent: 4)
      }
    }
    if lost.count > Self.mostCauses {
      block.prose("… and \(Units.count(Int64(lost.count - Self.mostCauses))) more.", indent: 2)
    }
    var next: [(String, String)] = []
    let keys = lost.flatMap { $0.forgotten.keys.prefix(1) + $0.processing.keys.prefix(1) }
    if let story = keys.first.flatMap(TextBlock.story) {
      next.append((story, "what happened to it"))
    }
    next.append(("workers --deaths", "why each worker left"))
    block.commands(next, indent: 2)
  }
}

extension Units {
  fileprivate static func count(_ number: Int64, _ one: String, _ many: String) -> String {
    "\(count(number)) \(number == 1 ? one : many)"
  }
}

extension String {
  fileprivate var withoutQuotes: String {
    hasPrefix("\"") && hasSuffix("\"") && count > 1 ? String(dropFirst().dropLast()) : self
  }

  fileprivate var trimmingNewlines: String {
    var text = self[...]
    while text.hasSuffix("\n") { text.removeLast() }
    while text.hasPrefix("\n") { text.removeFirst() }
    return String(text)
  }
}
