import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// The events that the scheduler logs about itself, under Dask's topics.
@Suite struct TopicTests {
  @Test func `a worker that joins and leaves is logged under its address and for all`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.add("w")
    #expect(
      scheduler.notes == [
        #"w: {"action":"add-worker"}"#, #"all: {"action":"add-worker","worker":"w"}"#,
      ])
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"])
    try scheduler.finish("a", run: 1)
    try scheduler.tell(.removeWorker(address: "w", expected: false))
    let message =
      #"{"action":"remove-worker","processing-tasks":{"$set":["b"]},"#
      + #""lost-computed-tasks":{"$set":["a"]},"lost-scattered-tasks":{"$set":[]},"#
      + #""stimulus_id":"s5","expected":false"#
    #expect(scheduler.notes == ["w: \(message)}", #"all: \#(message),"worker":"w"}"#])
  }

  @Test func `clients, their graphs and their cancellations are logged`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.tell(.addClient("d"))
    #expect(
      scheduler.notes == [
        #"all: {"action":"add-client","client":"d"}"#, #"d: {"action":"add-client","client":"d"}"#,
      ])
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["b"], client: "d")
    let graph =
      #"{"action":"update-graph","stimulus_id":"s4","#
      + #""metrics":{"tasks":2,"new_tasks":2,"key_collisions":0},"status":"OK"}"#
    #expect(scheduler.notes == ["scheduler: \(graph)", "d: \(graph)"])
    try scheduler.submit(["z": ["unknown"]], keys: ["z"], client: "d")
    #expect(
      scheduler.notes.first
        == #"scheduler: {"action":"update-graph","stimulus_id":"s5","status":"cancelled"}"#)
    try scheduler.tell(.cancel(client: "d", keys: ["b"], force: false))
    #expect(scheduler.notes == [#"d: {"action":"cancel","count":1,"force":false}"#])
    try scheduler.tell(.removeClient("d"))
    #expect(scheduler.notes.first == #"all: {"action":"remove-client","client":"d"}"#)
  }

  @Test func `the retiring of a worker is logged, with its status before`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["v", "w"])
    try scheduler.tell(.retireWorkers(["w"]))
    let notes = scheduler.notes
    #expect(
      notes.first
        == #"w: {"action":"worker-status-change","prev-status":"running","#
        + #""status":"closing_gracefully","stimulus_id":"s4"}"#)
    #expect(
      notes.contains(
        #"all: {"action":"retire-workers","retired":["w"],"could-not-retire":[],"#
          + #""stimulus_id":"s4"}"#))
    #expect(notes.last == #"w: {"action":"retired","stimulus_id":"s4"}"#)
  }

  @Test func `scattering, restarting and stealing are logged`() throws {
    let scheduler = try HandDrivenScheduler(workers: ["w"], workerSaturation: .infinity)
    let data = ScatteredData(key: "x", nbytes: 8, typeName: "Int")
    try scheduler.tell(.updateData(client: "c", [(data, workers: ["w"])]))
    let message = #"{"action":"scatter","client":"c","count":1}"#
    #expect(scheduler.notes == ["c: \(message)", "all: \(message)"])
    for key in ["a", "b", "d", "e"] {
      try scheduler.submit([Key(key): []], keys: [Key(key)])
    }
    try scheduler.add("v", threads: 1)
    try scheduler.tell(.balance)
    #expect(
      scheduler.notes.first == #"stealing: {"$tuple":["request","e","w","v","steal-0"]}"#)
    try scheduler.tell(
      .stealResponse(worker: "w", key: "e", state: .executing, stimulusID: "steal-0"))
    #expect(
      scheduler.notes
        == [#"stealing: {"$tuple":["already-computing","e","executing","w","v","steal-0"]}"#])
    try scheduler.tell(.restart)
    #expect(
      scheduler.notes.last == #"all: {"action":"restart-workers","workers":null,"client":null}"#)
  }

  @Test func `tasks that have waited for a worker too long are logged`() throws {
    let scheduler = try HandDrivenScheduler(workers: [])
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.tell(.noWorkersTimeout(nanoseconds: 1))
    #expect(
      scheduler.notes == [
        #"scheduler: {"action":"no-workers-timeout-exceeded","keys":{"$set":["a"]}}"#
      ])
  }
}
