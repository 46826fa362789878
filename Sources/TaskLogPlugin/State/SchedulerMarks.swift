/// Changes of the state by marks, for which there are no hooks.
extension SchedulerState {
  func applyStimulus(_ event: Event) {
    let args = event.args.content
    switch args["op"]?.string {
    case "remove-worker": release(event, isExpected: args["expected"]?.bool == true)
    case "worker-status-change": changeStatus(event, args["status"]?.string)
    case "long-running": makeLongRunning(event)
    case "move-task": moveTask(event)
    case "set-restrictions": setRestrictions(event, args)
    case "update-data":
      // A recorder of Dask records the resulting tasks instead.
      let entries = event.snapshot.value?["graph"]?.elements
      if let entries {
        for entry in entries { restoreSnapshot(entry) }
      } else {
        updateData(args)
      }
    default: break
    }
  }

  /// Removes the worker before its tasks are moved; `removeWorker` is called after that.
  private func release(_ event: Event, isExpected: Bool) {
    let worker = workers[event.worker ?? ""]
    removeWorker(event.worker)
    if let address = event.worker { departed.insert(address) }
    guard let worker, !isExpected else { return }
    for task in worker.processing { markSuspicious(task, task.suspicious + 1) }
  }

  /// Sets the number of workers that died while they had the task.
  func markSuspicious(_ task: TaskState, _ count: Int) {
    if count > task.suspicious { task.prefix.suspicious &+= count &- task.suspicious }
    task.suspicious = count
  }

  private func changeStatus(_ event: Event, _ status: String?) {
    guard let worker = workers[event.worker ?? ""] else {
      mismatchCount += 1
      return
    }
    if let status = status.flatMap(WorkerStatus.init) { worker.status = status }
    recordRunning()
  }

  /// A task has seceded from its thread.
  private func makeLongRunning(_ event: Event) {
    guard let task = event.key.flatMap({ tasks[$0] }), let worker = task.processingOn,
      worker.address == event.worker
    else {
      mismatchCount += 1
      return
    }
    worker.longRunning.insert(task)
  }

  /// A task has been stolen from the worker that was to run it.
  private func moveTask(_ event: Event) {
    guard let task = event.key.flatMap({ tasks[$0] }), let victim = task.processingOn,
      let thief = workers[event.worker ?? ""]
    else {
      mismatchCount += 1
      return
    }
    move(task, from: victim, to: thief, event)
  }

  private func move(
    _ task: TaskState, from victim: WorkerInfo, to thief: WorkerInfo, _ event: Event
  ) {
    victim.giveUp(task)
    task.processingOn = thief
    task.taskRunID = event.taskRunID ?? task.taskRunID &+ 1
    thief.take(task)
  }

  /// Changes that Dask reports in its event log only: stolen tasks, and the tasks of a worker that
  /// died.
  func applyLogEvent(_ event: Event) {
    if case .none = event.snapshot {
    } else if let pairs = event.snapshot.value?["suspicious"]?.elements {
      for pair in pairs {
        guard let pair = pair.elements, pair.count == 2,
          let task = Key(pair[0]).flatMap({ tasks[$0] }),
          let count = pair[1].int.flatMap(Int.init(exactly:)), count > task.suspicious
        else { continue }
        markSuspicious(task, count)
      }
    }
    // Our own engine records a mark for this.
    guard let key = event.key, let task = tasks[key], event.args["topic"]?.string == "stealing",
      case .tuple(let message)? = event.args["message"], message.count >= 5,
      message[0].string == "confirm", let victim = workers[message[3].string ?? ""],
      let thief = workers[message[4].string ?? ""], task.processingOn === victim
    else { return }
    move(task, from: victim, to: thief, event)
  }

  /// Dask's `set_restrictions`.
  private func setRestrictions(_ event: Event, _ args: Args.Content) {
    guard let task = event.key.flatMap({ tasks[$0] }) else {
      mismatchCount += 1
      return
    }
    task.workerRestrictions = (args["workerRestrictions"]?.elements ?? []).compactMap(\.string)
    task.looseRestrictions = args["looseRestrictions"]?.bool ?? false
    // It has the restrictions only; the others stay.
    if args["hostRestrictions"]?.elements?.isEmpty == false || task.hints?.hosts.isEmpty == false {
      task.hints = PlacementHints(args, replacing: task.hints)
    }
    if case .dict(let entries)? = args["annotations"] { task.annotations = entries }
  }

  /// Data was added from outside: Dask's `update_data`.
  private func updateData(_ args: Args.Content) {
    guard case .dict(let holders)? = args["who_has"] else {
      mismatchCount += 1
      return
    }
    var sizes: [Key: Int64] = [:]
    if case .dict(let entries)? = args["nbytes"] {
      for entry in entries { if let key = Key(entry.key) { sizes[key] = entry.value.int } }
    }
    for entry in holders {
      guard let key = Key(entry.key) else { continue }
      if tasks[key] == nil {
        let task = task(key)
        task.isPureData = true
        task.state = .memory
      }
      let task = task(key)
      // Data can be scattered under a key that was released.
      if task.state == .released { task.state = .memory }
      set(nbytes: sizes[key], of: task)
      for address in (entry.value.elements ?? []).lazy.compactMap(\.string) {
        guard let worker = workers[address] else {
          mismatchCount += 1
          continue
        }
        addReplica(task, worker)
      }
    }
  }
}
