import Testing

@testable import TaskLogPlugin

@Suite struct SnapshotTests {
  private static let snapshots: [Snapshot] = [
    .graph([]),
    .graph([
      GraphTask(key: "plain"),
      GraphTask(
        key: Key("x", 1), dependencies: ["plain", "a\0b", Key("y", "z")],
        priority: Priority([-1, 0, 2.5]),
        annotations: [.init("$resources", .object(["GPU": 1])), .init("retries", 2)], retries: 3,
        workerRestrictions: ["tcp://a:1", "tcp://b:2"]),
    ]),
    .worker(WorkerSnapshot(address: "tcp://a:1", name: 0, serverID: "Worker-1", nthreads: 4)),
    .worker(
      WorkerSnapshot(
        address: "tcp://a:1", name: "alice", serverID: "Worker-1", nthreads: 4,
        memoryLimit: .max, pid: 17, host: "h")),
    .task(TaskSnapshot()),
    .task(
      TaskSnapshot(
        nbytes: 0, typeName: "int", exceptionText: "", tracebackText: "line\nline",
        startStops: [
          StartStop(action: "compute", start: 1.25, stop: 2),
          StartStop(action: "transfer", start: .nan, stop: -0.0, source: "tcp://b:2"),
        ], comingFrom: "tcp://b:2", cause: Key("y", 0), retries: 0, suspicious: 2)),
    .other(.object(["future": 1])), .other(.null), .other(.opaque("capped")),
    .other(.object(["graph": [1]])), .other(.object(["worker": .object([:])])),
  ]

  @Test(arguments: snapshots.indices)
  func `a snapshot is restored from its value`(place: Int) throws {
    let snapshot = Self.snapshots[place]
    let value = try #require(snapshot.value)
    let read = Snapshot(value)
    #expect(read.value == value)
    #expect(kind(read) == kind(snapshot))
  }

  @Test(arguments: snapshots.indices)
  func `a snapshot is restored from the JSON of a log`(place: Int) throws {
    let snapshot = Self.snapshots[place]
    let encoded = Snapshot.encoded(EncodedJSON(JSONWriter.text(try #require(snapshot.value))))
    #expect(encoded == snapshot)
    #expect(encoded.decoded.value == snapshot.value)
    #expect(kind(encoded.decoded) == kind(snapshot))
  }

  @Test func `the snapshot of a graph is restored field by field`() throws {
    guard case .graph(let tasks) = Self.snapshots[1],
      case .graph(let read) = Snapshot(try #require(Self.snapshots[1].value))
    else {
      Issue.record("no graph")
      return
    }
    #expect(read == tasks)
  }

  @Test func `an empty snapshot has no value`() {
    #expect(Snapshot.none.value == nil)
  }

  @Test func `an unreadable snapshot is marked`() {
    guard case .other(let value) = Snapshot.encoded(EncodedJSON("{")).decoded else {
      Issue.record("it was read")
      return
    }
    #expect(value.isOpaque)
  }

  @Test func `defaults are not written`() {
    #expect(Snapshot.task(TaskSnapshot()).value == .object(["task": .dict([])]))
    #expect(
      Snapshot.graph([GraphTask(key: "x")]).value
        == .object(["graph": [.object(["key": "x"])]]))
  }

  private func kind(_ snapshot: Snapshot) -> String {
    switch snapshot {
    case .none: "none"
    case .graph: "graph"
    case .worker: "worker"
    case .task: "task"
    case .encoded: "encoded"
    case .other: "other"
    }
  }

  @Test func `the lists of the names of fields are complete`() {
    func names(_ value: some FieldEncodable) -> [String] {
      value.entries.compactMap(\.key.string)
    }
    func check(_ value: some FieldEncodable, _ listed: [StaticString]) {
      #expect(names(value) == listed.map(\.description))
    }
    let span = StartStop(action: "transfer", start: 1, stop: 2, source: "b")
    let task = TaskSnapshot(
      nbytes: 1, typeName: "a", exceptionText: "b", tracebackText: "c", startStops: [span],
      comingFrom: "d", cause: "e", retries: 2, suspicious: 3, previous: .executing,
      state: .memory, counter: 4)
    let graphTask = GraphTask(
      key: "k", dependencies: ["d"], priority: Priority(0, 1, 2), annotations: [.init("a", 1)],
      retries: 1, workerRestrictions: ["w"], looseRestrictions: true,
      resourceRestrictions: [Resource("GPU", 1)])
    let worker = WorkerSnapshot(
      address: "a", name: "n", serverID: "s", nthreads: 1, resources: [Resource("GPU", 1)])
    check(span, SpanField.all)
    check(task, TaskField.all)
    check(graphTask, GraphTaskField.all)
    check(worker, WorkerField.all)
    check(
      RunReport(worker: "w", nbytes: 1, type: "t", typeName: "n", thread: 1, startStops: [span]),
      RunReport.fieldNames)
    check(ClientKeys(client: "c", keys: ["k"]), ClientKeys.fieldNames)
    let kinds: [Snapshot] = [.task(task), .graph([graphTask]), .worker(worker)]
    for (snapshot, kind) in zip(kinds, SnapshotKind.all) {
      guard let value = snapshot.value, case .dict(let entries) = value else {
        Issue.record("no snapshot")
        continue
      }
      #expect(entries.map(\.key.string) == [kind.description])
      // Both ways of reading find every written field.
      #expect(Snapshot(value) == snapshot)
      if kind.description != "worker" {
        #expect(Snapshot(fast: EncodedJSON(JSONWriter.text(value))) == snapshot)
      }
    }
  }
}
