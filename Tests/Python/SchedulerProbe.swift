import Glibc
import TaskLogPlugin

/// Writes what can be looked up in a scheduler at each hook, under the names of `probe.py`: one
/// line of JSON per hook, into the file `out`.
final class SchedulerProbe: SchedulerPlugin {
  private var scheduler: Scheduler?
  private var file: UnsafeMutablePointer<FILE>?

  init() {}

  init(options: [String: String]) throws {
    guard let path = options["out"] else {
      throw PluginError.badOption("out", value: "", expected: "a path")
    }
    file = fopen(path, "w")
  }

  func start(scheduler: Scheduler) { self.scheduler = scheduler }
  func beforeClose() { look("beforeClose") }
  func close() {
    look("close")
    if let file { fclose(file) }
    file = nil
  }
  func updateGraph(
    scheduler: Scheduler, client: String, keys: [Key], tasks: [Key], annotations: Value,
    priority: OrderedMap<Key, Priority>, stimulusID: String, args: Args
  ) { look("updateGraph") }
  func restart(scheduler: Scheduler) { look("restart") }
  func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) {
    look("transition", key)
  }
  func addWorker(scheduler: Scheduler, worker: String) { look("addWorker") }
  func removeWorker(scheduler: Scheduler, worker: String, stimulusID: String) {
    look("removeWorker")
  }
  func addClient(scheduler: Scheduler, client: String) { look("addClient") }
  func removeClient(scheduler: Scheduler, client: String) { look("removeClient") }
  func validWorkersDownscaling(
    scheduler: Scheduler, workers: [WorkerInfo]
  ) -> [WorkerInfo] {
    look("validWorkersDownscaling")
    return workers
  }
  func logEvent(topic: String, message: Value) { look("logEvent") }

  func report() -> Value {
    if let file { fflush(file) }
    return .object([
      "mismatchCount": .int(Int64(scheduler?.state.mismatchCount ?? -1)),
      "unknown": .list((scheduler?.state.unknown ?? []).map { .string($0.rawValue) }),
    ])
  }

  // MARK: - Lookups

  private func look(_ hook: String, _ key: Key? = nil) {
    guard let file, let state = scheduler?.state else { return }
    var told: [Value.Entry] = [
      .init("hook", .string(hook)), .init("key", key?.value ?? .null),
      .init("scheduler.total_nthreads", .int(Int64(state.totalThreads))),
      .init("scheduler.transition_counter", .int(state.transitionCounter)),
      .init("workers", texts(state.workers.map(\.0))),
      .init("clients", texts(state.clients.map(\.0))),
      .init("tasks", .int(Int64(state.tasks.count))),
      .init("groups", texts(state.groups.map(\.0))),
      .init("prefixes", texts(state.prefixes.map(\.0))),
      .init("unrunnable", keys(state.unrunnable.map(\.key))),
      .init("queued", keys(state.queued.map(\.key))),
    ]
    for (address, worker) in state.workers {
      func add(_ name: String, _ value: Value) {
        told.append(.init(.string("worker \(address).\(name)"), value))
      }
      add("nbytes", .int(worker.nbytes))
      add("nthreads", .int(Int64(worker.nthreads)))
      add("memory_limit", .int(worker.memoryLimit))
      add("name", worker.name)
      add("pid", .int(worker.pid))
      add("status", .string("Status.\(worker.status.rawValue)"))
      add("server_id", .string(worker.serverID))
      add("has_what", keys(worker.hasWhat.map(\.key)))
      add("processing", keys(worker.processing.map(\.key)))
      add("long_running", keys(worker.longRunning.map(\.key)))
    }
    if let key, let task = state.tasks[key] { look(task, &told) }
    fputs("\(Value.dict(told))\n", file)
  }

  private func look(_ task: TaskState, _ told: inout [Value.Entry]) {
    func add(_ name: String, _ value: Value?) { told.append(.init(.string(name), value ?? .null)) }
    add("task.state", .string(task.state.name))
    add("task.priority", (task.priority?.values).map { .list($0.map(Value.double)) })
    add("task.nbytes", .int(task.nbytes ?? -1))
    add("task.type", task.typeName.map(Value.string))
    add("task.retries", .int(Int64(task.retries)))
    add("task.suspicious", .int(Int64(task.suspicious)))
    add("task.run_id", .int(task.taskRunID))
    add("task.has_lost_dependencies", .bool(task.hasLostDependencies))
    add("task.exception_text", task.exceptionText.map(Value.string))
    add("task.traceback_text", task.tracebackText.map(Value.string))
    add("task.annotations", .dict(task.annotations))
    add("task.loose_restrictions", .bool(task.looseRestrictions))
    add("task.worker_restrictions", texts(task.workerRestrictions))
    add("task.resource_restrictions", resources(task.resourceRestrictions))
    add("task.erred_on", texts(task.erredOn))
    add("task.dependencies", keys(task.dependencies.map(\.key)))
    add("task.dependents", keys(task.dependents.map(\.key)))
    add("task.waiting_on", keys(task.waitingOn.map(\.key)))
    add("task.waiters", keys(task.waiters.map(\.key)))
    add("task.who_has", texts(task.whoHas.map(\.address)))
    add("task.who_wants", texts(task.whoWants.map(\.id)))
    add("task.processing_on", (task.processingOn?.address).map(Value.string))
    add("task.exception_blame", task.exceptionBlame?.key.value)
    add("task.has_run_spec", .bool(!task.isPureData))
    add("prefix.name", .string(task.prefix.name))
    add("prefix.suspicious", .int(Int64(task.prefix.suspicious)))
    add("prefix.states", states(task.prefix.states))
    add("prefix._all_durations_us", durations(task.prefix.allDurations))
    add("group.name", .string(task.group.name))
    add("group.states", states(task.group.states))
    add("group.nbytes_total", .int(task.group.nbytesTotal))
    add("group._all_durations_us", durations(task.group.allDurations))
    add("group.dependencies", texts(task.group.dependencies.map(\.name)))
  }

  private func resources(_ resources: [Resource]) -> Value {
    .dict(resources.map { .init(.string($0.name), .double($0.amount)) })
  }
  private func texts(_ values: [String]) -> Value { .list(values.map(Value.string)) }
  private func keys(_ keys: [Key]) -> Value { .list(keys.map(\.value)) }
  private func states(_ states: [State: Int]) -> Value {
    .dict(states.map { .init(.string($0.name), .int(Int64($1))) })
  }
  private func durations(_ durations: OrderedMap<String, Double>) -> Value {
    .dict(durations.map { .init(.string($0.0), .double($0.1 * 1e6)) })
  }
}
