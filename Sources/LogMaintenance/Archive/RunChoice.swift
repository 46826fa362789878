import LogAnalysis

/// A run or a job in it, to be selected by what is known of it.
package struct RunItem: Sendable {
  package var run: RunEntry
  /// `nil` for all of the run.
  package var job: Job?

  package init(_ run: RunEntry, _ job: Job? = nil) { (self.run, self.job) = (run, job) }

  package var started: Int64 { job?.started ?? run.started }

  /// `nil` while it is running.
  package var ended: Int64? {
    guard let job else { return run.apparentEnd == .running ? nil : run.ended }
    return job.unfinished > 0 && run.apparentEnd == .running ? nil : job.stopped
  }

  /// The seconds that it took; `nil` while it is running.
  package var duration: Double? {
    guard job != nil else { return run.duration }
    return ended.map { Double($0.subtractingReportingOverflow(started).partialValue) / 1e9 }
  }

  package var tasks: Int64 { job?.tasks ?? run.tasks }
  package var failed: Int64 { job?.failed ?? run.failed }
}

/// How runs of an archive, or jobs in them, are selected.
package struct RunChoice {
  /// Whether the jobs of the runs must be known.
  package var needsJobs: Bool
  /// The oldest first.
  package var select: ([RunEntry]) -> [Archive.Item]

  package init(needsJobs: Bool, select: @escaping ([RunEntry]) -> [Archive.Item]) {
    (self.needsJobs, self.select) = (needsJobs, select)
  }
}
