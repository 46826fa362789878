import EventLog
import Testing

@testable import LogAnalysis

/// Which tasks of a graph belong to a client or a span, on literals in the formats of both engines.
@Suite struct SubmissionTests {
  private static func read(
    _ args: String, _ snapshot: String, clients: [String] = [], jobs: [String] = [],
    spans: [String] = [], submitter: Int64? = nil
  ) -> SubmissionPart {
    var part = SubmissionPart()
    let pattern = SubmissionPart.Pattern(
      clients: clients.map(TextPattern.init), jobs: jobs.map(TextPattern.init),
      spans: spans.map(TextPattern.init))
    var (args, snapshot) = (args, snapshot)
    args.withUTF8 { args in snapshot.withUTF8 { part.read(args: args, $0, pattern, submitter) } }
    return part
  }

  private static func ofClient(_ part: SubmissionPart) -> Set<String> {
    Set(part.tasks.filter(\.isOfClient).map { String(decoding: $0.key, as: UTF8.self) })
  }

  /// Each task with the span that is found for it.
  private static func spans(_ part: SubmissionPart) -> [String] {
    part.tasks.map { task in
      let key = String(decoding: task.key, as: UTF8.self)
      switch task.span {
      case .annotated(let matches): return "\(key) \(matches)"
      case .ofGroup: return "\(key) group \(task.groupSpan ?? "-")"
      case nil: return "\(key) -"
      }
    }
  }

  @Test func `a client has the tasks that are new with its graph, and those that it requested`() {
    let args = #"""
      {"client":"alice-1","tasks":["a","b",{"$tuple":["c",1]}],"keys":{"$set":["b"]}}
      """#
    let snapshot = #"{"graph":[{"known":true},{"known":true},{"dependencies":["a"]}]}"#
    let part = Self.read(args, snapshot, clients: ["alice*"])
    #expect(Self.ofClient(part) == [#""b""#, #"{"$tuple":["c",1]}"#])
    #expect(part.clients == ["alice-1"])
    #expect(Self.ofClient(Self.read(args, snapshot, clients: ["alice"])).isEmpty)
  }

  @Test func `our engine's graphs contain only the keys of the new tasks`() {
    let args = #"{"client":"c","keys":["x"],"tasks":["x","y"]}"#
    let part = Self.read(args, #"{"graph":[{"key":"x","dependencies":["y"]}]}"#, clients: ["c"])
    #expect(Self.ofClient(part) == [#""x""#])
  }

  @Test func `existing tasks belong to the clients that want them`() {
    let snapshot = #"""
      {"attach":{"tasks":[{"key":"x","whoWants":["c"]},{"key":"y"},{"key":"z","whoWants":["d","c"]}]}}
      """#
    let part = Self.read("{}", snapshot, clients: ["c"])
    #expect(Self.ofClient(part) == [#""x""#, #""z""#])
    #expect(part.clients == ["c", "d"])
  }

  @Test func `an annotation is found complete, shared, or shared earlier in the event`() {
    let load = #"{"name":{"$tuple":["training","load"]},"ids":{"$tuple":["1","2"]}}"#
    let other = #"{"name":["other"],"ids":["3"]}"#
    let args = #"""
      {"tasks":["a","b","c","d","e"],"annotations":{"span":{"$map":[["d",{"$shared":[4,\#(load)]}],
      ["e",{"$shared":[5,\#(other)]}]]}}}
      """#
    let snapshot = #"""
      {"graph":[{"annotations":{"span":\#(load)}},{"annotations":{"span":{"$shared":[0,\#(load)]}}},
      {"annotations":{"retries":2,"span":{"$shared":[0]}}},{"annotations":{"span":{"$shared":[4]}}},
      {"annotations":{"span":{"$shared":[5]}}}]}
      """#
    let all = [#""a" true"#, #""b" true"#, #""c" true"#, #""d" true"#, #""e" false"#]
    for span in ["training", "load", "1", "2", "l*"] {
      #expect(Self.spans(Self.read(args, snapshot, spans: [span])) == all, "\(span)")
    }
    let part = Self.read(args, snapshot, spans: ["other"])
    #expect(Self.spans(part).map { $0.suffix(5) } == ["false", "false", "false", "false", " true"])
    #expect(part.spans == ["training", "load", "other"])
  }

  /// Whether each task is of the job, by its annotation.
  private static func jobs(_ part: SubmissionPart) -> [String] {
    part.tasks.map {
      "\(String(decoding: $0.key, as: UTF8.self)) \($0.isOfJob.map(String.init) ?? "-")"
    }
  }

  @Test func `a task is of the job that annotates it first`() {
    let args = #"""
      {"tasks":["a","b","c","d"],"annotations":{"tasklog_job":{"$map":[["c",{"$shared":[7,"etl"]}]]}}}
      """#
    let snapshot = #"""
      {"graph":[{"annotations":{"tasklog_job":"etl"}},{"annotations":{"tasklog_job":"other"}},
      {"annotations":{"tasklog_job":{"$shared":[7]}}},
      {"known":true,"annotations":{"tasklog_job":"etl"}}]}
      """#
    let part = Self.read(args, snapshot, jobs: ["etl"])
    #expect(Self.jobs(part) == [#""a" true"#, #""c" true"#])
    #expect(part.jobs == ["etl", "other"])
  }

  @Test func `what a task submits is left to the job and the client of that task`() {
    let args = #"{"client":"Client-worker-1","tasks":["a","b","c"],"keys":["a"]}"#
    let snapshot = #"{"graph":[{},{"annotations":{"tasklog_job":"own"}},{"known":true}]}"#
    let part = Self.read(args, snapshot, clients: ["me"], jobs: ["etl"], submitter: 5)
    #expect(Self.ofClient(part) == [#""a""#, #""b""#])
    #expect(part.clients.isEmpty)
    #expect(part.tasks.allSatisfy { $0.submitter == 5 })
    #expect(Self.jobs(part) == [#""a" -"#, #""a" -"#, #""b" false"#])
  }

  @Test func `a task without an annotation is in the span of its group`() {
    let part = Self.read(
      #"{"tasks":["a","b"]}"#, #"{"graph":[{"span":"s-1"},{}]}"#, spans: ["default"])
    #expect(Self.spans(part) == [#""a" group s-1"#, #""b" group -"#])
  }

  @Test(arguments: ["", "{", "[]", #"{"graph":3}"#, #"{"graph":[3,{"key":}]}"#, "null"])
  func `a value that is not a graph has no tasks`(snapshot: String) {
    let part = Self.read(#"{"client":7,"tasks":3}"#, snapshot, clients: ["*"], spans: ["*"])
    #expect(Self.ofClient(part).isEmpty)
  }
}
