/// Workers that join and leave, and the results that they hold.
extension SchedulerState {
  func applyAddWorker(_ event: Event) {
    guard let address = event.worker else {
      mismatchCount += 1
      return
    }
    let snapshot: WorkerSnapshot
    if case .worker(let recorded) = event.snapshot.decoded {
      snapshot = recorded
    } else {
      mismatchCount += 1
      snapshot = WorkerSnapshot(address: address, name: .null, serverID: "", nthreads: 0)
    }
    if let previous = workers[address] { totalThreads &-= previous.nthreads }
    let worker = WorkerInfo(facts: snapshot)
    // Our own engine does not record the default status of a worker.
    if case .encoded = event.snapshot { worker.take(status: event.snapshot.value?["worker"]) }
    workers[address] = worker
    totalThreads &+= snapshot.nthreads
    recordRunning()
  }

  /// Applies the hook, which comes last; our engine has removed the worker with an earlier mark.
  func applyRemoveWorker(_ event: Event) {
    if let address = event.worker, departed.remove(address) != nil { return }
    removeWorker(event.worker)
  }

  func removeWorker(_ address: String?) {
    guard let address, let worker = workers.removeValue(forKey: address) else {
      mismatchCount += 1
      return
    }
    totalThreads &-= worker.nthreads
    recordRunning()
    for task in worker.hasWhat { task.whoHas.remove(worker) }
    worker.hasWhat.removeAll()
    worker.nbytes = 0
  }

  func applyReplica(_ event: Event, add: Bool) {
    // Dask removes the replicas of a worker after it has left.
    if !add, let address = event.worker, departed.contains(address) { return }
    guard let key = event.key, let task = tasks[key], let worker = workers[event.worker ?? ""]
    else {
      mismatchCount += 1
      return
    }
    if add {
      // Data that a client has changed may have another size.
      if let nbytes = event.args["nbytes"]?.int, nbytes >= 0, nbytes != task.nbytes {
        set(nbytes: nbytes, of: task)
      }
      addReplica(task, worker)
    } else {
      removeReplica(task, worker)
    }
  }

  func addReplica(_ task: TaskState, _ worker: WorkerInfo) {
    guard !task.whoHas.contains(worker) else { return }
    task.whoHas.insert(worker)
    worker.hasWhat.insert(task)
    worker.nbytes &+= task.nbytes ?? 0
  }

  func removeReplica(_ task: TaskState, _ worker: WorkerInfo) {
    guard task.whoHas.contains(worker) else { return }
    task.whoHas.remove(worker)
    worker.hasWhat.remove(task)
    worker.nbytes &-= task.nbytes ?? 0
  }

  func removeAllReplicas(_ task: TaskState) {
    for worker in task.whoHas {
      worker.hasWhat.remove(task)
      worker.nbytes &-= task.nbytes ?? 0
    }
    task.whoHas.removeAll()
  }
}
