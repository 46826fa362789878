import EventLog
import LogAnalysis
import LogFormat

/// Three lines about a run: how long it took, how much it did, and what went wrong.
enum SummaryHeadline {
  /// Of a larger run the summary does not say what threads did: that takes several times as long as the
  /// summary itself, since it needs the causal order of events.
  private static let mostEvents: Int64 = 250_000

  /// What went wrong in a run.
  struct Troubles {
    var failed: Int64 = 0
    var affected: Int64 = 0
    var atWorkers: Int64 = 0
    /// The most frequent exception.
    var exception: String?
    var exceptions = 0
    var lostWorkers: Int64 = 0
    var cancelled: Int64 = 0
    var unfinished: Int64 = 0
    var missing: Int64 = 0
    var incompleteWorkers: Int64 = 0
  }

  /// - Throws: `LogError`.
  static func text(
    _ reader: LogReader, _ summaries: [(run: RunInfo, summary: RunSummary)], in scopes: RunScopes,
    _ terminal: Terminal
  ) throws -> String {
    var block = TextBlock(terminal)
    var commands: [(command: String, purpose: String)] = []
    func propose(_ command: String, _ purpose: String) {
      if !commands.contains(where: { $0.command == command }) {
        commands.append((command, purpose))
      }
    }
    for (run, summary) in summaries {
      block.space()
      block.prose(duration(run, now: try reader.timeOfLastEvent(in: run)))
      let scope = scopes[run]
      block.prose(extent(summary, try reader.totals(of: run), isPart: scope != nil))
      let troubles = try troubles(of: run, reader, scope)
      let hasDied = run.hasDied && scope?.includesEnd(of: run) ?? true
      block.verdict(wrong(troubles, run, hasDied: hasDied))
      if try reader.totals(of: run).events <= mostEvents {
        if let text = try threads(of: run, reader, scope) { block.prose(text) }
        if let text = try resources(of: run, reader, scope) { block.prose(text) }
      } else {
        propose("time", "what the threads did")
        propose("workers --resources", "memory of workers")
      }
      if troubles.failed + troubles.affected + troubles.atWorkers + troubles.lostWorkers > 0
        || hasDied
      {
        propose("errors", "causes, with tracebacks")
      }
      if troubles.unfinished > 0, run.end != .running { propose("open", "unfinished tasks") }
      if troubles.missing > 0 { propose("check", "what is missing in the log") }
    }
    block.commands(commands, indent: 0)
    return block.text
  }

  static func duration(_ run: RunInfo, now: Int64?) -> String {
    let name = "Run #\(run.number) (\(run.engine) \(run.engineVersion))"
    let end = run.ended ?? now ?? run.started
    let duration = Units.duration(nanoseconds: end - run.started)
    if let copied = run.runningAsOf {
      let duration = Units.duration(nanoseconds: copied - run.started)
      return "\(name) had been running for \(duration) when this log was copied, at "
        + "\(Units.second(copied)) UTC."
    }
    switch run.end {
    case .closed: return "\(name) took \(duration) and was closed at \(Units.second(end)) UTC."
    case .died where run.asOf != nil:
      return "\(name) died, or delivery of its log stopped, after \(duration), at "
        + "\(Units.second(end)) UTC."
    case .died: return "\(name) died after \(duration), at \(Units.second(end)) UTC."
    case .running:
      return "\(name) has been running for \(duration), since \(Units.second(run.started)) UTC."
    }
  }

  /// - Parameter isPart: whether the summary covers a part of the run; the log has no total of the
  ///   events of a part.
  static func extent(_ summary: RunSummary, _ totals: RunTotals, isPart: Bool = false) -> String {
    let threads = summary.workers.reduce(Int64(0)) { $0 + ($1.nthreads ?? 0) }
    let compute = summary.prefixes.reduce(0) { $0 + $1.computeSeconds }
    let tasks = isPart ? summary.prefixes.reduce(0) { $0 + $1.tasks } : totals.tasks
    let events = isPart ? "" : ", \(Units.count(totals.events, "event"))"
    return "\(isPart ? "This part: " : "")\(Units.count(tasks, "task")) on "
      + "\(Units.count(Int64(summary.workers.count), "worker")) with "
      + "\(Units.count(threads, "thread")), \(Units.duration(seconds: compute)) of compute time\(events)."
  }

  /// What threads did; `nil` if there were none, or if only some tasks count.
  private static func threads(
    of run: RunInfo, _ reader: LogReader, _ scope: RunScope?
  ) throws -> String? {
    guard scope?.selectsTasks != true else { return nil }
    // Whether on a processor or not is all the same here.
    let time = try reader.threadTime(of: run, in: scope, splitsComputing: false)
    return time.total > 0 ? "Threads: " + Reports.threadShares(time) + "." : nil
  }

  /// The highest memory of a worker, and the data that was spilled; `nil` without heartbeats.
  private static func resources(
    of run: RunInfo, _ reader: LogReader, _ scope: RunScope?
  ) throws -> String? {
    let use = try reader.resourceUse(of: run, in: scope)
    guard let most = use.rows.max(by: { $0[.memory]?.peak ?? 0 < $1[.memory]?.peak ?? 0 }),
      let peak = most[.memory]?.peak
    else { return nil }
    var text = "Memory: at most \(Units.bytes(peak)) of a worker"
    if let limit = use.memoryLimits[most.worker], limit > 0 {
      text += ", \(Units.percent(peak / Double(limit))) of its limit"
    }
    let spilled = use.rows.compactMap { $0[.spilled]?.peak }.max() ?? 0
    return text + (spilled > 0 ? "; spilled to disk: at most \(Units.bytes(spilled))." : ".")
  }

  private static func troubles(
    of run: RunInfo, _ reader: LogReader, _ scope: RunScope?
  ) throws -> Troubles {
    var troubles = Troubles()
    let failures = try reader.failures(of: run, in: scope)
    (troubles.failed, troubles.affected) = try failures.counts()
    let causes = try failures.causes()
    let atWorkers = try failures.workerFailureGroups(examples: 0)
    troubles.atWorkers = atWorkers.reduce(0) { $0 + $1.tasks }
    troubles.exceptions = causes.count + atWorkers.count
    troubles.exception = [causes.first?.exception, atWorkers.first?.first.exception]
      .compactMap { $0 }.first { $0 != .null }.map { ExceptionText.forPeople($0.plainText) }
    for worker in try reader.lostWorkers(of: run, keys: 0, in: scope) {
      troubles.lostWorkers += 1
      troubles.cancelled += worker.forgotten.count
    }
    troubles.unfinished = try reader.unfinishedTasks(of: run, keys: 0, in: scope).count
    troubles.missing = try reader.totals(of: run).missing
    troubles.incompleteWorkers = Int64(try reader.incompleteWorkers(of: run).count)
    return troubles
  }

  /// The beginning of a text: a sentence, or as much as fits in a line.
  private static func shortened(_ text: String) -> String {
    let most = 90
    let sentence = text.firstRange(of: ". ").map { String(text[..<$0.lowerBound]) } ?? text
    return sentence.count <= most ? sentence : "\(sentence.prefix(most - 1))…"
  }

  /// What went wrong; `nil` if nothing did.
  ///
  /// - Parameter hasDied: whether it died within the part; by default if the run died.
  static func wrong(_ troubles: Troubles, _ run: RunInfo, hasDied: Bool? = nil) -> String? {
    var parts: [String] = []
    if hasDied ?? run.hasDied { parts.append("the scheduler died") }
    if troubles.failed + troubles.affected > 0 {
      let affected =
        troubles.affected > 0
        ? ", and \(Units.count(troubles.affected)) because of \(troubles.failed == 1 ? "it" : "them")"
        : ""
      parts.append("\(Units.count(troubles.failed, "task")) failed\(affected)")
    }
    if troubles.atWorkers > 0 {
      parts.append("\(Units.count(troubles.atWorkers, "failure")) that only a worker saw")
    }
    if let exception = troubles.exception {
      let more = troubles.exceptions > 1 ? " and \(troubles.exceptions - 1) more" : ""
      let first = exception.split(separator: "\n").first.map(String.init) ?? exception
      parts[parts.count - 1] += " (\(shortened(first))\(more))"
    }
    if troubles.lostWorkers > 0 {
      parts.append(
        "\(Units.count(troubles.lostWorkers, "worker")) \(troubles.lostWorkers == 1 ? "was" : "were") lost"
          + (troubles.cancelled > 0
            ? ", and \(Units.count(troubles.cancelled, "task")) cancelled with \(troubles.lostWorkers == 1 ? "its" : "their") data"
            : ""))
    }
    if troubles.unfinished > 0, run.end != .running {
      parts.append(
        "\(Units.count(troubles.unfinished, "task")) \(troubles.unfinished == 1 ? "was" : "were") unfinished"
      )
    }
    if troubles.missing > 0 {
      parts.append(
        "\(Units.count(troubles.missing, "event")) of the log \(troubles.missing == 1 ? "is" : "are") missing"
      )
    }
    if troubles.incompleteWorkers > 0 {
      parts.append(
        "the last events of \(Units.count(troubles.incompleteWorkers, "worker")) may be missing")
    }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }
}

extension TextBlock {
  /// The answer to "what went wrong".
  mutating func verdict(_ wrong: String?) {
    guard let wrong else { return colored("Nothing went wrong.", isBad: false) }
    colored("Went wrong: \(wrong).", isBad: true)
  }
}
