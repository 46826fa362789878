import TaskLogPlugin
import TestSupport
import Testing

@testable import Scheduling

@Suite struct CancelTests {
  @Test func `dependents of a cancelled task are cancelled before it`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.submit(["a": [], "b": ["a"]], keys: ["a", "b"])
    #expect(
      try scheduler.tell(.cancel(client: "c", keys: ["a"], force: false)) == [
        "clientReleasesKeys", "transition b waiting>released", "transition b released>forgotten",
        "clientReleasesKeys", "transition a processing>released on=w",
        "transition a released>forgotten", "cancelled b", "w <- free a",
        "cancelled a",
      ])
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `a task that another client wants is cancelled only by force`() throws {
    let scheduler = try HandDrivenScheduler()
    try scheduler.tell(.addClient("d"))
    try scheduler.submit(["a": []], keys: ["a"])
    try scheduler.submit(["a": []], keys: ["a"], client: "d")
    #expect(try scheduler.tell(.cancel(client: "c", keys: ["a"], force: false)) == [])
    #expect(
      try scheduler.tell(.cancel(client: "c", keys: ["a"], force: true)).last == "cancelled a")
    #expect(scheduler.core.state.tasks.isEmpty)
  }

  @Test func `a cancelled future fails, and its key can be submitted again`() async throws {
    try await withCluster(workers: 1) { cluster in
      let isOver = Lock(false)
      let endless = cluster.client.submit("endless", key: "endless") { () -> Int in
        while !isOver.withLock({ $0 }) {}
        return 1
      }
      let later = cluster.client.submit("later", endless) { $0 }
      cluster.client.cancel([endless])
      await #expect(throws: ClusterError.self) { try await endless.result() }
      await #expect(throws: ClusterError.self) { try await later.result() }
      isOver.withLock { $0 = true }
      let anew = cluster.client.submit("endless", key: "endless") { 2 }
      expect(try await anew.result(), is: 2)
    }
  }

  @Test func `a plugin may cancel and release tasks and retire workers`() async throws {
    try await withCluster(workers: 2) { cluster in
      await cluster.scheduler.addPlugin(Meddler())
      let unwanted = cluster.client.submit("unwanted", key: "unwanted") { 1 }
      await #expect(throws: ClusterError.self) { try await unwanted.result() }
      let released = cluster.client.submit("released", key: "released") { 1 }
      let isReleased = await eventually {
        await cluster.scheduler.withPlugin(Meddler.self) { $0.isReleased } == true
      }
      #expect(isReleased)
      _ = released
      let last = await cluster.workers.last
      _ = cluster.client.submit("retire", key: "retire") { 1 }
      let isRetired = await eventually { await cluster.workers.last != last }
      #expect(isRetired)
    }
  }
}

/// Does to the scheduler what the keys of the tasks say.
private final class Meddler: SchedulerPlugin {
  var scheduler: Scheduler?
  var isReleased = false

  nonisolated(nonsending) func start(scheduler: Scheduler) async throws {
    self.scheduler = scheduler
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    guard let scheduler else { return }
    if key == "released", finish == .forgotten { isReleased = true }
    guard finish == .processing else { return }
    let client = scheduler.clients.keys.first ?? ""
    switch key.text {
    case "unwanted": scheduler.cancel(keys: [key], client: client)
    case "released": scheduler.release(keys: [key], client: client)
    case "retire": scheduler.retire(workers: [scheduler.workers.keys.last ?? ""])
    default: break
    }
  }
}
