import EventLog
import LogAnalysis
import Querying
import Replaying

/// Prints the result of a replay: reports, a summary and warnings.
struct ReplayText {
  let path: String
  let run: RunInfo
  let result: Replayer.Result
  /// The options that skipped events.
  let part: String

  /// - Parameter end: the current end of the run.
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
    for verification in result.verifications { report(verification) }
    for failure in result.failures.prefix(10) { Console.warn(Self.line(failure)) }
    if result.failureCount > 10 {
      Console.warn("plugins failed \(result.failureCount) times in total")
    }
    for notice in result.notices { Console.warn(notice) }
    // The log of a Dask worker never has the spans of a task before it is done.
    let unknown = result.unknown.filter { $0 != .spans }
    if !unknown.isEmpty {
      Console.warn(
        "plugins read state that the log of run #\(run.number) does not contain: "
          + unknown.map(\.rawValue).joined(separator: ", "))
    }
    if result.mismatchCount > 0 {
      Console.warn(
        "\(Printable.count(result.mismatchCount, "event")) did not match the rebuilt state; "
          + "a plugin that read it may have seen other values than in the live run")
    }
    warn(result.missing - result.pruned, "missing in the log of run #\(run.number)")
    warn(
      result.pruned,
      "pruned from run #\(run.number); plugins were not called with them, and the rebuilt state "
        + "lacks their changes")
    RunWarnings.reportFiles(run, path: path)
    if run.limits.isFiltered {
      Console.warn(
        "run #\(run.number) was recorded with a filter (\(run.limits.filterText)), which excluded "
          + "\(Printable.count(result.excluded, "event")); plugins were not called with them, and "
          + "the rebuilt state lacks their changes")
    }
    warn(Int64(result.damaged), "damaged in the log of run #\(run.number), and read in part")
    warn(Int64(result.outOfOrder), "replayed before their causes")
    switch end {
    case .closed: break
    case .died:
      Console.warn("run #\(run.number) died; its last events may be missing from the log")
    case .running:
      Console.warn(
        "run #\(run.number) is still running; the replay has its events so far")
    }
  }

  private var summary: String {
    var text = "\(Printable.count(result.events, "event")) of run #\(run.number) replayed"
    if result.before > 0 {
      text += ", \(result.before) of them in an earlier replay"
    }
    if !part.isEmpty {
      text +=
        ", and plugins called with \(Printable.count(result.chosen, "event")) of them "
        + "(\(Printable.text(part)))"
    }
    switch result.end {
    case .complete: break
    case .done: text += "; all plugins asked to stop"
    case .failed: text += "; stopped at the first failure"
    case .cancelled: text += "; interrupted"
    }
    return text
  }

  private func report(_ verification: Verification) {
    let owner = verification.worker.map { "worker \($0)" } ?? "the scheduler"
    let plugin = "'\(verification.plugin)' on \(owner)"
    guard let first = verification.first else {
      let count = Printable.count(verification.noted, "recorded report")
      return Console.print(
        Printable.text(
          "\(plugin): same as live in \(verification.noted == 1 ? "the" : "all") \(count)"))
    }
    var line = "plugin \(plugin) differs from the live run: \(Self.divergence(first)); "
    line +=
      "\(first.place.isEmpty ? "it reported" : "\(first.place) was") \(Self.short(first.live))"
    line += ", and now \(Self.short(first.replayed))"
    if verification.noted > 1 {
      line += " (\(verification.differing) of \(verification.noted) recorded reports differ)"
    }
    Console.warn(line)
  }

  private static func divergence(_ difference: Verification.Difference) -> String {
    if difference.events == 1, let event = difference.lastEvent, let seq = difference.lastEventSeq {
      return "first difference in \(event) (seq \(seq))"
    }
    let end = "that of seq \(difference.seq)"
    guard let equal = difference.equalSeq else {
      return "first difference before the first recorded report, \(end)"
    }
    return "first difference between the recorded report of seq \(equal) and \(end), "
      + "in one of \(difference.events) events"
  }

  private static func short(_ json: String) -> String {
    json.count <= 200 ? json : json.prefix(200) + "…"
  }

  static func line(_ failure: Replayer.Failure) -> String {
    let owner = failure.worker.map { "worker \($0)" } ?? "the scheduler"
    let location = failure.seq.map { " (seq \($0))" } ?? ""
    return "plugin '\(failure.plugin)' on \(owner) failed in "
      + "\(failure.event ?? failure.hook)\(location): \(failure.error)"
  }

  private func warn(_ events: Int64, _ problem: String) {
    guard events > 0 else { return }
    Console.warn("\(Printable.count(events, "event")) \(events == 1 ? "is" : "are") \(problem)")
  }
}
