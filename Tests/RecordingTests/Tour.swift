import TaskLogKit

final class Failures: SchedulerPlugin {
  var keys: [String] = []

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    if finish == .erred { keys.append(key.text) }
  }
}

func tour(log: String) async throws -> Int {
  let cluster = try await LocalCluster(workers: 2, recorder: Recorder(log: log))
  await cluster.scheduler.addPlugin(Failures())
  await cluster.client.registerPlugin { ErrorLogger() }

  let squares = cluster.client.map("square", Array(1...100)) { $0 * $0 }
  let total = cluster.client.submit("total", all: squares) { $0.reduce(0, +) }
  let answer = try await total.result()

  let failed = await cluster.scheduler.withPlugin(Failures.self) { $0.keys }
  assert(failed == [])
  await cluster.close()
  return answer
}
