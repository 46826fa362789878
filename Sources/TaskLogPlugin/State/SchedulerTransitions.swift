/// The state changes of each transition: the second half of Dask's `_transition_*` functions.
///
/// The first half (is it allowed, on which worker, what follows) belongs to the engine. The changes
/// here follow from the event and the state alone.
extension SchedulerState {
  func applyTransition(_ event: Event) {
    guard let key = event.key, let start = event.start, let finish = event.finish else {
      mismatchCount += 1
      return
    }
    transitionCounter += 1
    let task = task(key)
    if task.state != start, isNested(task, event) {
      return applyNested(task, event, to: start, finish)
    }
    if task.state != start { mismatchCount += 1 }
    applySnapshot(event, task)
    guard start != finish else { return }

    exit(task)
    switch (start, finish) {
    case (_, .processing): process(task, event)
    case (.processing, .memory): store(task, event)
    case (_, .erred): err(task, event)
    case (.released, .waiting): wait(task)
    case (.waiting, .released): releaseWaiting(task)
    case (.memory, .released): releaseMemory(task)
    case (.erred, .released): releaseErred(task)
    case (_, .released): release(task)
    case (_, .queued): queued.insert(task)
    case (_, .noWorker): unrunnable.insert(task)
    case (_, .forgotten): forget(task)
    default: break
    }
    task.state = finish
  }

  private func applySnapshot(_ event: Event, _ task: TaskState) {
    guard case .task(let snapshot) = event.snapshot.decoded else { return }
    if let retries = snapshot.retries { task.retries = retries }
    if let suspicious = snapshot.suspicious { markSuspicious(task, suspicious) }
    if let counter = snapshot.counter { transitionCounter = counter }
  }

  /// Whether an event is one of two nested transitions.
  ///
  /// Dask fails a task whose inputs are larger than the memory of its worker on the way to
  /// `processing`. Plugins are called with processing → erred first, which starts in the state that
  /// the outer transition has just set, and then with the outer one, which has the same finish
  /// state: waiting → erred, queued → erred or no-worker → erred.
  private func isNested(_ task: TaskState, _ event: Event) -> Bool {
    guard event.finish == .erred else { return false }
    let ready: Set<State> = [.waiting, .queued, .noWorker]
    if event.start == .processing { return ready.contains(task.state) }
    return task.state == .erred && event.start.map(ready.contains) == true
      && event.args.content["exception"] == nil
  }

  private func applyNested(_ task: TaskState, _ event: Event, to start: State, _ finish: State) {
    applySnapshot(event, task)
    // The outer transition has nothing left to do.
    guard start == .processing else { return }
    exit(task)
    task.waitingOn.removeAll()
    task.state = .processing
    err(task, event)
    task.state = finish
  }

  /// The common part of leaving a state. Depends on the actual state of the task, so that a
  /// mismatched event leaves the state consistent.
  private func exit(_ task: TaskState) {
    switch task.state {
    case .processing:
      task.processingOn?.giveUp(task)
      task.processingOn = nil
    case .queued: queued.remove(task)
    case .noWorker: unrunnable.remove(task)
    default: break
    }
  }

  /// released → waiting
  private func wait(_ task: TaskState) {
    for dependency in task.dependencies {
      if dependency.whoHas.isEmpty { task.waitingOn.insert(dependency) }
      if dependency.state != .released { dependency.waiters.insert(task) }
    }
    task.waiters.removeAll()
    for dependent in task.dependents where dependent.state == .waiting {
      task.waiters.insert(dependent)
    }
  }

  /// waiting, queued, no-worker → processing
  private func process(_ task: TaskState, _ event: Event) {
    task.taskRunID = event.taskRunID ?? task.taskRunID &+ 1
    task.waitingOn.removeAll()
    guard let worker = workers[event.worker ?? ""] else {
      mismatchCount += 1
      return
    }
    task.processingOn = worker
    worker.take(task)
  }

  /// processing → memory
  private func store(_ task: TaskState, _ event: Event) {
    let address: String?
    if case .run(let result) = event.args.storage {
      for span in result.startStops { task.group.add(span) }
      set(nbytes: result.nbytes, of: task)
      task.typeName = result.typeName
      address = result.worker
    } else {
      let result =
        event.args.encoded.flatMap {
          StoredResult(fast: $0, worker: event.worker, typeName: lastTypeName)
        } ?? StoredResult(event.args.content)
      for span in result.startStops { task.group.add(span) }
      set(nbytes: result.nbytes, of: task)
      task.typeName = result.typeName
      lastTypeName = result.typeName
      address = result.worker
    }
    if let worker = workers[address ?? ""] {
      addReplica(task, worker)
    } else {
      mismatchCount += 1
    }
    for dependent in task.dependents { dependent.waitingOn.remove(task) }
    for dependency in task.dependencies { dependency.waiters.remove(task) }
  }

  /// Sizes come from a log: a sum of them may wrap, but must not trap.
  func set(nbytes: Int64?, of task: TaskState) {
    let difference = (nbytes ?? 0) &- (task.nbytes ?? 0)
    task.group.nbytesTotal &+= difference
    for worker in task.whoHas { worker.nbytes &+= difference }
    task.nbytes = nbytes
  }

  /// processing, no-worker, queued, released, memory → erred
  private func err(_ task: TaskState, _ event: Event) {
    if event.start == .memory { removeAllReplicas(task) }
    let args = event.args.content
    // An exception without text, such as `KilledWorker`, is described by its description.
    if let text = (args["exception_text"] ?? args["exception"]?["description"])?.string {
      task.exceptionText = text
    }
    if let text = args["traceback_text"]?.string { task.tracebackText = text }
    if let worker = args["worker"]?.string, !task.erredOn.contains(worker) {
      task.erredOn.append(worker)
    }
    if let cause = args["cause"].flatMap(Key.init) { task.exceptionBlame = tasks[cause] }
    if task.exceptionBlame == nil { task.exceptionBlame = task.blameOfDependencies }
    let blame = task.exceptionBlame
    if event.start == .released {
      for dependent in task.dependents where dependent.whoHas.isEmpty {
        dependent.exceptionBlame = blame
      }
    } else {
      for waiter in task.waiters { waiter.exceptionBlame = blame }
      for dependency in task.dependencies { dependency.waiters.remove(task) }
      task.waiters.removeAll()
    }
  }

  /// waiting → released
  private func releaseWaiting(_ task: TaskState) {
    for dependency in task.dependencies { dependency.waiters.remove(task) }
    task.waitingOn.removeAll()
    let isNeeded = !task.whoWants.isEmpty || !task.waiters.isEmpty
    if !task.hasLostDependencies, task.exceptionBlame != nil || !isNeeded {
      task.waiters.removeAll()
    }
  }

  /// processing, queued, no-worker → released
  private func release(_ task: TaskState) {
    let isNeeded = !task.waiters.isEmpty || !task.whoWants.isEmpty
    if isNeeded, !task.hasLostDependencies { return }
    for dependency in task.dependencies where dependency.state != .released {
      dependency.waiters.remove(task)
    }
    task.waiters.removeAll()
  }

  /// memory → released
  private func releaseMemory(_ task: TaskState) {
    removeAllReplicas(task)
    for waiter in task.waiters where waiter.state == .waiting { waiter.waitingOn.insert(task) }
  }

  /// erred → released
  ///
  /// As in Dask, the texts stay until the task fails again.
  private func releaseErred(_ task: TaskState) {
    task.exceptionBlame = nil
    task.erredOn = []
  }

  /// released, memory, erred → forgotten
  private func forget(_ task: TaskState) {
    for dependent in task.dependents {
      dependent.hasLostDependencies = true
      dependent.dependencies.remove(task)
      dependent.waitingOn.remove(task)
    }
    for dependency in task.dependencies {
      dependency.dependents.remove(task)
      dependency.waiters.remove(task)
    }
    task.waiters.removeAll()
    task.waitingOn.removeAll()
    removeAllReplicas(task)
    for client in task.whoWants { client.wantsWhat.remove(task) }
    task.whoWants.removeAll()
    task.processingOn = nil
    task.exceptionBlame = nil
    removeWhenSettled(task)
  }
}
