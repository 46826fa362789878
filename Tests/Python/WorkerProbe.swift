import Glibc
import TaskLogPlugin

/// Writes what can be looked up in a worker at each transition, under the names of
/// `probe.look_worker`: one line of JSON each, into a file named after the worker in the folder
/// `out`.
final class WorkerProbe: WorkerPlugin {
  private var folder = ""
  private var worker: Worker?
  private var file: UnsafeMutablePointer<FILE>?

  init() {}

  init(options: [String: String]) throws {
    guard let path = options["out"] else {
      throw PluginError.badOption("out", value: "", expected: "a folder")
    }
    folder = path
  }

  func setup(worker: Worker) {
    self.worker = worker
    file = fopen("\(folder)/\(worker.id)", "w")
  }

  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    guard let file, let worker else { return }
    var told: [Value.Entry] = [
      .init("key", key.value), .init("start", .string(start.name)),
      .init("finish", .string(finish.name)), .init("tasks", keys(worker.tasks.map(\.0))),
    ]
    if let task = worker.tasks[key] { look(task, &told) }
    fputs("\(Value.dict(told))\n", file)
  }

  func report() -> Value {
    if let file { fflush(file) }
    return .object([
      "mismatchCount": .int(Int64(worker?.state.mismatchCount ?? -1)),
      "unknown": .list((worker?.state.unknown ?? []).map { .string($0.rawValue) }),
    ])
  }

  private func look(_ task: WorkerTaskState, _ told: inout [Value.Entry]) {
    func add(_ name: String, _ value: Value?) { told.append(.init(.string(name), value ?? .null)) }
    add("state", .string(task.state.name))
    add("previous", task.previous.map { .string($0.name) })
    add("priority", (task.priority?.values).map { .list($0.map(Value.double)) })
    add("nbytes", task.nbytes.map(Value.int))
    add("coming_from", task.comingFrom.map(Value.string))
    add("exception_text", task.exceptionText.map(Value.string))
    add("run_id", .int(task.taskRunID))
    add("annotations", .dict(task.annotations))
    add("resource_restrictions", resources(task.resourceRestrictions))
    add("dependencies", keys(task.dependencies.map(\.key)))
    add("dependents", keys(task.dependents.map(\.key)))
    add("waiting_for_data", keys(task.waitingForData.map(\.key)))
    add("waiters", keys(task.waiters.map(\.key)))
    add("who_has", .list(task.whoHas.sorted().map(Value.string)))
    add("startstops", .list(task.startStops.map(\.value)))
  }

  private func resources(_ resources: [Resource]) -> Value {
    .dict(resources.map { .init(.string($0.name), .double($0.amount)) })
  }
  private func keys(_ keys: [Key]) -> Value { .list(keys.map(\.value)) }
}
