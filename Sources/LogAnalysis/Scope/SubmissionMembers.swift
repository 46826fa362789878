import EventLog
import LogFormat

/// The tasks of each client, named job and span of a run, by name in ascending order.
struct SubmissionMembers {
  typealias Members = [(name: String, tasks: RowIDSet)]

  let reader: LogReader
  let run: RunInfo
  let range: ClosedRange<Int64>

  func clients() throws -> Members {
    try members(of: try scan { $0.clients = ["*"] }.clients) { name in
      try scan { $0.clients = [name] }.ofClients
    }
  }

  func jobs() throws -> Members {
    try members(of: try scan { $0.jobs = ["*"] }.jobs) { name in
      try scan { $0.jobs = [name] }.ofJobs
    }
  }

  func spans() throws -> Members {
    try members(of: try scan { $0.spans = ["*"] }.spans) { name in
      try scan { $0.spans = [name] }.inSpans
    }
  }

  private func members(
    of names: Set<String>, _ tasks: (String) throws -> RowIDSet?
  ) rethrows -> Members {
    try names.sorted().map { ($0, try tasks(Glob.quoted($0)) ?? RowIDSet()) }
  }

  private func scan(_ set: (inout ScopeFilter) -> Void) throws -> SubmissionScan {
    var filter = ScopeFilter()
    set(&filter)
    var scan = try SubmissionScan(reader, filter)
    try scan.scan(run, range)
    return scan
  }
}
