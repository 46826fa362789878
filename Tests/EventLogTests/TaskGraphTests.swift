import TestSupport
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import LogFormat
@testable import TaskLogPlugin

/// The graph of a run, from each kind of event that contains a part of it.
@Suite struct TaskGraphTests {
  private let folder: TemporaryFolder
  private let log: LogUnderTest

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"))
  }

  /// Events that say that the task "b" depends on the task "a".
  enum Kind: CaseIterable {
    case submitted, submittedToDask, attached, cameAlone, cameWithEscapes

    var event: Event {
      let tasks = #"[{"key":"a"},{"key":"b","dependencies":["a"]}]"#
      let (hook, args, snapshot): (Hook, String, String) =
        switch self {
        case .submitted: (.updateGraph, #"{"client":"c"}"#, #"{"graph":\#(tasks)}"#)
        case .submittedToDask:
          (
            .updateGraph, #"{"client":"c","tasks":{"$tuple":["a","b"]}}"#,
            #"{"graph":[{"known":true},{"dependencies":["a"]}]}"#
          )
        case .attached:
          (
            .attach, #"{"missing":[]}"#,
            #"{"attach":{"workers":[{"address":"w"}],"clients":{},"tasks":\#(tasks),"groups":{}}}"#
          )
        case .cameAlone:
          (
            .stimulus, #"{"op":"update-data"}"#,
            #"{"graph":[{"key":"b","dependencies":["a"],"state":"waiting","waitingOn":["a"]}]}"#
          )
        case .cameWithEscapes:
          (
            .stimulus, #"{"op":"update-data"}"#,
            #"{"graph":[{"key":"\u0062","dependencies":[ "a" ]}]}"#
          )
        }
      return Event(
        hook, time: 1, key: hook == .stimulus ? "b" : nil, args: Args(json: EncodedJSON(args)),
        snapshot: .encoded(EncodedJSON(snapshot)))
    }
  }

  /// "a", then "b", which the scheduler sends when "a" is done.
  private static let work: [Event] = [
    .transition("a", .waiting, .processing, time: 10),
    .transition("a", .processing, .memory, time: 20),
    .transition("b", .waiting, .processing, time: 30),
    .transition("b", .processing, .memory, time: 40),
  ]

  private func edges(_ run: RunInfo, _ reader: LogReader) throws -> [String] {
    let index = try reader.dependencies(of: run)
    let names = ["a", "b"].map { ($0, KeyHash.hash(of: Key($0))) }
    func name(_ task: Int) -> String { names.first { $0.1 == index.hash(of: task) }?.0 ?? "?" }
    return (0..<index.count).flatMap { task in
      index.dependencies(of: task).map { "\(name(task)) needs \(name(Int($0)))" }
    }
  }

  @Test(arguments: Kind.allCases)
  func `all analyses know a dependency, however it reached the scheduler`(kind: Kind) throws {
    try log.append([kind.event] + Self.work)
    try log.close()
    let reader = try LogReader(path: log.path)
    let run = try reader.latest()
    #expect(try edges(run, reader) == ["b needs a"])
    #expect(
      try query("SELECT run, key, dependency FROM dependencies", log.path).rows
        == [[1, "b", "a"]])
    let path = try reader.criticalPath(of: run)
    #expect(path.map(\.key).reduce(into: []) { if $0.last != $1 { $0.append($1) } } == ["a", "b"])
    #expect(
      try query("SELECT DISTINCT key FROM critical_path ORDER BY key", log.path).rows
        == [["a"], ["b"]])
  }

  @Test func `a failure is blamed along dependencies that a recorder found`() throws {
    try log.append([
      Kind.attached.event, .transition("a", .processing, .erred, stimulus: "s-1"),
      .transition("c", .processing, .erred, stimulus: "s-2"),
      .transition("b", .waiting, .erred, stimulus: "s-2"),
    ])
    try log.close()
    let reader = try LogReader(path: log.path)
    var blamed: [String: String?] = [:]
    try reader.failures(of: reader.latest()).forEachAffected { blamed[$0.key] = $0.blamed }
    #expect(blamed == ["b": "a"])
    #expect(
      try query("SELECT cause_key FROM failures WHERE key = 'b'", log.path).rows == [["a"]])
  }

  @Test func `a worker's tasks at the attach of a recorder are not in the graph`() throws {
    let worker = try log.addWorker(1)
    try log.append([(worker, Kind.attached.event)] + Self.work.map { (log.scheduler, $0) })
    try log.close()
    let reader = try LogReader(path: log.path)
    #expect(try edges(reader.latest(), reader) == [])
    #expect(try query("SELECT * FROM dependencies", log.path).rows == [])
  }
}
