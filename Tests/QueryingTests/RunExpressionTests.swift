import EventLog
import LogAnalysis
import LogMaintenance
import TaskLogPlugin
import Testing

@testable import Querying

/// Expressions that select runs, on literals.
@Suite struct RunExpressionTests {
  private static let now: Int64 = 1_800_000_000_000_000_000

  private static func entry(_ change: (inout [String: String]) -> Void = { _ in }) throws
    -> RunEntry
  {
    var fields = [
      "number": "1", "id": #""01a2""#, "engine": #""dask""#, "version": #""2026.8.0""#,
      "started": "1799999000000000000", "ended": "1799999090000000000", "end": #""closed""#,
      "events": "100", "tasks": "10", "workers": "2", "missing": "0", "incomplete": "0",
      "failed": "3", "labels": #""{\"a\":\"x y\",\"n\":\"12\"}""#, "host": #""node-1""#,
      "user": #""ann""#, "git": "null", "places": #"["node-1","pod-7"]"#,
      "prefixes": #"["load","sum"]"#, "part": "false",
    ]
    change(&fields)
    let json = "{" + fields.map { #""\#($0.key)":\#($0.value)"# }.joined(separator: ",") + "}"
    return try #require(RunEntry(JSONReader.value(json)))
  }

  private static func matches(_ text: String, _ entry: RunEntry) throws -> Bool {
    try RunExpression(text, now: now).matches(RunItem(entry))
  }

  @Test(arguments: [
    "", "label.a='x y'", "label.a=\"x*\"", "label.n>=12 and label.n<13", "label.a!=y",
    "label.zz!=y",
    "engine=dask", "closed", "not died", "not (died or running)", "end=closed", "failed",
    "failed=3 and tasks>=10", "not missing", "duration=90s", "duration<2m", "started>-1h",
    "started<2027-01-16", "user=a?n", "host=node-1", "place=pod-*", "prefix=load",
    "prefix=su* and prefix=load", "died or closed and user=ann", "(died or closed) and user=ann",
    "git!=abc", "ended", "not not closed", "prefix!=nothing",
  ])
  func `an expression is true of a run`(text: String) throws {
    #expect(try Self.matches(text, Self.entry()))
  }

  @Test(arguments: [
    "label.a=x", "label.b", "label.n<12", "label.a>1", "engine=tasklog", "died", "running",
    "not closed", "failed>3", "missing", "duration>90s", "started>-10m", "user!=ann", "prefix=l",
    "prefix!=load", "git", "closed and died", "place!=pod-7",
  ])
  func `an expression is false of a run`(text: String) throws {
    #expect(try !Self.matches(text, Self.entry()))
  }

  @Test func `an expression may be as long as a command line`() throws {
    let long = Array(repeating: "closed", count: 20_000)
    #expect(try Self.matches(long.joined(separator: " and "), Self.entry()))
    #expect(try !Self.matches("not " + long.joined(separator: " or not "), Self.entry()))
  }

  @Test func `a running run has no end`() throws {
    let run = try Self.entry { $0["end"] = #""running""# }
    for text in ["running", "not ended", "not duration", "not duration>0s", "end=running"] {
      #expect(try Self.matches(text, run), "\(text)")
    }
  }

  @Test func `the first or the last runs are kept`() throws {
    let runs = try (0..<5).map { number in
      try Self.entry { $0["tasks"] = "\(number)" }
    }
    func select(_ text: String) throws -> [Int] {
      try RunExpression(text, now: Self.now).select(runs).map(\.index)
    }
    #expect(try select("tasks>1 last 2") == [3, 4])
    #expect(try select("tasks>1 first 1") == [2])
    #expect(try select("last 1") == [4])
    #expect(try select("tasks>9 last 3") == [])
  }

  @Test func `an expression that names jobs selects them instead of runs`() throws {
    var runs = try [Self.entry(), Self.entry { $0["user"] = #""eve""# }, Self.entry()]
    func job(_ kind: Job.Kind, _ name: String, from start: Int64, to stop: Int64) -> Job {
      var job = Job(kind: kind, name: name)
      (job.started, job.stopped, job.tasks) = (start, stop, stop - start)
      return job
    }
    runs[0].jobs = [
      job(.job, "etl-1", from: 10, to: 20), job(.client, "ann", from: 0, to: 50),
      job(.job, "etl-3", from: 30, to: 45),
    ]
    runs[1].jobs = [job(.job, "etl-2", from: 20, to: 22), job(.job, "other", from: 1, to: 2)]
    func select(_ text: String) throws -> [String] {
      try RunExpression(text, now: Self.now).select(runs).map {
        "\($0.index) \($0.job?.name ?? "-")"
      }
    }
    // By the time at which they started, whatever their run.
    #expect(try select("job=etl-*") == ["0 etl-1", "1 etl-2", "0 etl-3"])
    #expect(try select("job=etl-* last 2") == ["1 etl-2", "0 etl-3"])
    // Tasks and times are those of the job, all else of its run.
    #expect(try select("job and tasks>9") == ["0 etl-1", "0 etl-3"])
    #expect(try select("job=etl-* and user=ann") == ["0 etl-1", "0 etl-3"])
    #expect(try select("not job=etl-*") == ["1 other"])
    #expect(try select("client") == ["0 ann"])
    #expect(try select("span") == [])
    #expect(try select("user=ann") == ["0 -", "2 -"])
    let expression = try RunExpression("job=etl-* first 2", now: Self.now)
    #expect(expression.kind == .job && expression.choice.needsJobs)
    let chosen = expression.choice.select(runs)
    #expect(chosen.map(\.index) == [0, 1])
    #expect(chosen.map(\.job?.name) == ["etl-1", "etl-2"])
    #expect(Job.list(.list(runs[0].jobs.map(\.value))) == runs[0].jobs)
    let last = try RunExpression("job last 1", now: Self.now)
    #expect(last.select(runs, excluding: Set(last.select(runs))).map(\.job?.name) == ["etl-2"])
  }

  @Test(arguments: [
    ("color=red", "'color' is nothing that is known of a run; expected died, closed"),
    ("label.=x", "'label.' is nothing"), ("closed and", "a condition is missing at its end"),
    ("(closed", "expected ')'"), ("closed)", "unexpected ')'"),
    ("closed died", "unexpected 'died'"),
    ("failed>many", "failed is a number, not 'many'"),
    ("duration>soon", "duration is a duration such as 90s, 5m or 2h, not 'soon'"),
    ("started>soon", "started is a time such as"),
    ("user>5x", "user is a text: compare it with = or !="),
    ("user=", "expected a value after 'user='"), ("user='a", "a quote has no end"),
    ("last", "expected a number after 'last'"), ("last 0", "expected a number after 'last'"),
    ("=", "unexpected '='"), ("!closed", "unexpected '!'"),
    ("job=a or client=b", "selects either jobs, clients or spans, not several of them"),
    (String(repeating: "(", count: 5000), "nested too deeply"),
    (String(repeating: "not ", count: 5000) + "closed", "nested too deeply"),
  ])
  func `an invalid expression is explained in one line`(text: String, reason: String) {
    #expect {
      try RunExpression(text, now: Self.now)
    } throws: { error in
      "\(error)".hasPrefix("--runs '\(text)': \(reason)") && !"\(error)".contains("\n")
    }
  }
}
