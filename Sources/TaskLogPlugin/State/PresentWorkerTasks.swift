/// The tasks of a worker when a recorder was attached.
extension WorkerState {
  func applyAttach(_ event: Event) {
    guard let values = event.snapshot.value?["attach"]?["tasks"]?.elements else { return }
    for value in values {
      guard let key = value["key"].flatMap(Key.init) else {
        mismatchCount += 1
        continue
      }
      fill(task(key), value)
    }
    for value in values {
      if let task = value["key"].flatMap(Key.init).flatMap({ tasks[$0] }) { link(task, value) }
    }
  }

  private func fill(_ task: WorkerTaskState, _ value: Value) {
    func texts(_ name: String) -> [String] {
      (value[name]?.elements ?? []).compactMap(\.string)
    }
    task.state = value["state"]?.string.map { State($0) } ?? task.state
    task.previous = value["previous"]?.string.map { State($0) }
    task.priority = value["priority"].flatMap(Priority.init)
    task.taskRunID = max(0, value["taskRunID"]?.int ?? 0)
    task.nbytes = value["nbytes"]?.int
    task.typeName = value["typeName"]?.string
    task.startStops = (value["startStops"]?.elements ?? []).compactMap(StartStop.init)
    task.whoHas = texts("whoHas")
    task.comingFrom = value["comingFrom"]?.string
    task.exceptionText = value["exceptionText"]?.string
    task.tracebackText = value["tracebackText"]?.string
    task.resourceRestrictions = Resource.list(value["resourceRestrictions"])
    if case .dict(let entries)? = value["annotations"] { task.annotations = entries }
  }

  /// Restores the relations of a task to others, once all of them exist.
  private func link(_ task: WorkerTaskState, _ value: Value) {
    func others(_ name: String) -> [WorkerTaskState] {
      (value[name]?.elements ?? []).compactMap(Key.init).map { self.task($0) }
    }
    for dependency in others("dependencies") {
      task.dependencies.insert(dependency)
      dependency.dependents.insert(task)
    }
    for dependency in others("waitingForData") { task.waitingForData.insert(dependency) }
    for waiter in others("waiters") { task.waiters.insert(waiter) }
  }
}
