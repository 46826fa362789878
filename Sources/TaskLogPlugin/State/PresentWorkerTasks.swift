/// The tasks that a recorder found on a worker when it was attached.
extension WorkerState {
  func applyAttach(_ event: Event) {
    guard let found = event.snapshot.value?["attach"]?["tasks"]?.elements else { return }
    for value in found {
      guard let key = value["key"].flatMap(Key.init) else {
        misfits += 1
        continue
      }
      let task = task(key)
      task.state = value["state"]?.string.map { State($0) } ?? task.state
      task.priority = value["priority"].flatMap(Priority.init)
      task.taskRunID = max(0, value["taskRunID"]?.int ?? 0)
      task.nbytes = value["nbytes"]?.int
      task.startStops = (value["startStops"]?.elements ?? []).compactMap(StartStop.init)
    }
    for value in found {
      guard let task = value["key"].flatMap(Key.init).flatMap({ tasks[$0] }) else { continue }
      for key in (value["dependencies"]?.elements ?? []).lazy.compactMap(Key.init) {
        let dependency = self.task(key)
        task.dependencies.insert(dependency)
        dependency.dependents.insert(task)
      }
      if task.state == .waiting { wait(task) }
    }
  }
}
