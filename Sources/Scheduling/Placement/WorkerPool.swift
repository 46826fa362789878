import TaskLogPlugin

/// The workers among which one is chosen for a task.
extension SchedulerState {
  /// Whether a task is one of many with few or no inputs: Dask's `is_rootish`.
  ///
  /// - Parameters:
  ///   - groups: its group depends on fewer groups than these.
  ///   - dependencies: these have fewer tasks in all.
  func isRootish(_ task: TaskState, groups: Int, dependencies: Int) -> Bool {
    if task.isRestricted { return false }
    let group = task.group
    // A file may have any number of threads.
    return Int64(group.size) > Int64(totalThreads) * 2
      && group.dependencies.count < groups
      && group.dependencies.reduce(Int64(0)) { $0 + Int64($1.size) } < Int64(dependencies)
  }

  /// The running workers that may run a task: Dask's `valid_workers`.
  func validWorkers(_ task: TaskState) -> [WorkerInfo] {
    var workers = running
    let hosts = task.hints?.hosts ?? []
    if !task.workerRestrictions.isEmpty || !hosts.isEmpty {
      workers = task.workerRestrictions.compactMap { self.workers[$0] }
        .filter { $0.status == .running }
      for worker in running where worker.isOn(hosts) && !workers.contains(where: { $0 === worker })
      {
        workers.append(worker)
      }
    }
    if !task.resourceRestrictions.isEmpty {
      workers = workers.filter { $0.supplies(task.resourceRestrictions) }
    }
    return workers
  }

  /// Those of some workers that hold an input of a task.
  func holders(of inputs: TaskState, among workers: [WorkerInfo]) -> [WorkerInfo] {
    workers.filter { worker in inputs.dependencies.contains { $0.whoHas.contains(worker) } }
  }

  /// Bytes of a task's inputs that a worker does not hold.
  package func missingBytes(of task: TaskState, on worker: WorkerInfo) -> Double {
    task.dependencies.reduce(0.0) { sum, dependency in
      dependency.whoHas.contains(worker) ? sum : sum + Double(dependency.nbytes ?? 0)
    }
  }
}

extension WorkerInfo {
  /// Whether it is on one of some hosts, or is named so.
  fileprivate func isOn(_ hosts: [String]) -> Bool {
    !hosts.isEmpty && hosts.contains { $0 == host || $0 == name.string }
  }
}

extension TaskState {
  /// Whether only some workers, hosts or resources may run it.
  var isRestricted: Bool {
    !workerRestrictions.isEmpty || !resourceRestrictions.isEmpty || hints?.hosts.isEmpty == false
  }
}
