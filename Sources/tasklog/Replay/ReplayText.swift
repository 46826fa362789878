import EventLog
import LogAnalysis
import Querying
import Replaying

/// What is said at the end of a replay.
struct ReplayText {
  let path: String
  let run: RunInfo
  let result: Replayer.Result
  /// The options that have left something out.
  let part: String

  /// - Parameter end: how the run has ended by now.
  func write(end: RunEnd) {
    if result.lines.isEmpty {
      ReportText.write(
        result.reports.map {
          ReportText.Entry(plugin: $0.plugin, worker: $0.worker, report: $0.report)
        })
      Console.print(summary)
    } else {
      for line in result.lines { Console.print(Printable.text(line)) }
    }
    for verification in result.verifications { tell(verification) }
    for failure in result.failures.prefix(10) { Console.complain(Self.line(failure)) }
    if result.failureCount > 10 {
      Console.complain("plugins failed \(result.failureCount) times in all")
    }
    for notice in result.notices { Console.complain(notice) }
    // No log of a worker of Dask tells its spans before a task is done.
    let unknown = result.unknown.filter { $0 != .spans }
    if !unknown.isEmpty {
      Console.complain(
        "plugins looked at a state of which the log of run #\(run.number) does not tell: "
          + unknown.map(\.rawValue).joined(separator: ", "))
    }
    if result.mismatchCount > 0 {
      Console.complain(
        "\(Printable.count(result.mismatchCount, "event")) did not fit the state that was rebuilt; "
          + "a plugin that looked at it may have seen something else than live")
    }
    warn(result.missing - result.pruned, "missing in the log of run #\(run.number)")
    warn(
      result.pruned,
      "pruned from run #\(run.number); plugins were not called with them, and a state that is rebuilt "
        + "is without what they changed")
    RunWarnings.reportFiles(run, path: path)
    if run.limits.isFiltered {
      Console.complain(
        "run #\(run.number) was recorded with a filter (\(run.limits.filterText)), which has left out "
          + "\(Printable.count(result.excluded, "event")); plugins were not called with them, and a "
          + "state that is rebuilt is without what they changed")
    }
    warn(Int64(result.damaged), "damaged in the log of run #\(run.number), and read in part")
    warn(Int64(result.outOfOrder), "replayed before what caused them")
    switch end {
    case .closed: break
    case .died: Console.complain("run #\(run.number) died; what it did last may not be in the log")
    case .running:
      Console.complain(
        "run #\(run.number) is still running; this is what was recorded so far")
    }
  }

  private var summary: String {
    var text = "\(Printable.count(result.events, "event")) of run #\(run.number) replayed"
    if result.before > 0 {
      text += ", \(result.before) of them in an earlier replay"
    }
    if !part.isEmpty {
      text +=
        ", and plugins called with \(Printable.count(result.chosen, "event")) of them: "
        + "this is a part (\(Printable.text(part)))"
    }
    switch result.end {
    case .complete: break
    case .done: text += "; no plugin wanted more"
    case .failed: text += "; ended at the first failure"
    case .cancelled: text += "; interrupted"
    }
    return text
  }

  private func tell(_ verification: Verification) {
    let owner = verification.worker.map { "worker \($0)" } ?? "the scheduler"
    let plugin = "'\(verification.plugin)' on \(owner)"
    guard let first = verification.first else {
      let count = Printable.count(verification.noted, "noted result")
      return Console.print(
        Printable.text(
          "\(plugin): as it was live in \(verification.noted == 1 ? "the" : "all") \(count)"))
    }
    var line = "plugin \(plugin) is not what it was live: \(Self.whereabouts(first)); "
    line +=
      "\(first.place.isEmpty ? "it reported" : "\(first.place) was") \(Self.short(first.live))"
    line += ", and now \(Self.short(first.replayed))"
    if verification.noted > 1 {
      line += " (\(verification.differing) of \(verification.noted) noted results differ)"
    }
    Console.complain(line)
  }

  private static func whereabouts(_ difference: Verification.Difference) -> String {
    if difference.events == 1, let event = difference.lastEvent, let seq = difference.lastEventSeq {
      return "they part in \(event) (seq \(seq))"
    }
    let end = "the one of seq \(difference.seq)"
    guard let equal = difference.equalSeq else {
      return "they part before the first noted result, \(end)"
    }
    return "they part between the noted result of seq \(equal) and \(end), "
      + "in one of \(difference.events) events"
  }

  private static func short(_ json: String) -> String {
    json.count <= 200 ? json : json.prefix(200) + "…"
  }

  private static func line(_ failure: Replayer.Failure) -> String {
    let owner = failure.worker.map { "worker \($0)" } ?? "the scheduler"
    let place = failure.seq.map { " (seq \($0))" } ?? ""
    return "plugin '\(failure.plugin)' on \(owner) failed in "
      + "\(failure.event ?? failure.hook)\(place): \(failure.error)"
  }

  private func warn(_ events: Int64, _ what: String) {
    guard events > 0 else { return }
    Console.complain("\(Printable.count(events, "event")) \(events == 1 ? "is" : "are") \(what)")
  }
}
