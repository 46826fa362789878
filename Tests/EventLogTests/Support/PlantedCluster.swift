@testable import EventLog
@testable import TaskLogPlugin

/// A log of a scheduler and a worker at `tcp://w:1`, which a test fills; times are in seconds.
struct PlantedCluster {
  let folder: TemporaryFolder
  let log: LogUnderTest
  let worker: Int64

  init() throws {
    folder = try TemporaryFolder()
    log = try LogUnderTest(folder("log.db"))
    try log.append([Self.joins()])
    worker = try log.addWorker(1)
  }

  static let address = "tcp://w:1"

  static func joins(
    _ address: String = address, threads: Int64 = 1, resources: [Value.Entry] = [],
    status: String = "running"
  ) -> Event {
    Event(
      .addWorker, time: 0, worker: address,
      snapshot: .other(
        .object([
          "worker": .object([
            "address": .string(address), "name": .string(address), "nthreads": .int(threads),
            "serverID": .string(address == Self.address ? "Worker-1" : "Worker-\(address)"),
            "host": "w", "pid": 1, "memoryLimit": 0, "status": .string(status),
            "resources": .dict(resources),
          ])
        ])))
  }

  static func at(_ seconds: Double) -> Int64 { Int64(seconds * 1e9) }

  /// A graph of a client that wants its last task; each task needs the one before.
  func submit(
    _ keys: [String], restrictions: [Value.Entry] = []
  ) throws {
    let tasks = keys.enumerated().map { index, key -> Value in
      var fields: [Value.Entry] = [
        .init("key", .string(key)),
        .init("dependencies", .list(index > 0 ? [.string(keys[index - 1])] : [])),
      ]
      if index == 0 { fields += restrictions }
      return .dict(fields)
    }
    try log.append([
      Event(.addClient, time: 0, args: Args(named: [.init("client", "c")])),
      Event(
        .updateGraph, time: 0,
        args: Args(named: [
          .init("client", "c"), .init("keys", .list([.string(keys.last ?? "")])),
          .init("tasks", .list(keys.map(Value.string))),
        ]), snapshot: .other(.object(["graph": .list(tasks)]))),
    ])
    try log.append(
      keys.reversed().map {
        .transition(Key($0), .released, .waiting, time: Self.at(1))
      })
  }

  func sent(_ key: Key, to address: String = address) throws {
    try log.append([
      .transition(key, .waiting, .processing, time: Self.at(2), worker: address, run: 1)
    ])
  }

  /// A worker that is recorded itself joins, with the number of its source as result.
  func joins(_ address: String) throws -> Int64 {
    try log.append([Self.joins(address)])
    return try log.writer.transaction {
      try log.writer.add(
        Source(
          kind: .worker, id: "Worker-\(address)", address: address, name: .string(address)),
        run: log.run)
    }
  }

  /// - Parameter source: another worker.
  func atWorker(
    _ key: Key, _ states: [State], _ time: Double = 3, source: Int64? = nil
  ) throws {
    var before = State.released
    for state in states {
      try log.append(
        [.transition(key, before, state, time: Self.at(time), run: 1)], source: source ?? worker)
      before = state
    }
  }
}
