import TaskLogPlugin

/// Scattered data: comes from a client, not from a task.
extension SchedulerCore {
  /// Dask's `update_data`.
  func updateData(
    _ client: String, _ data: [(ScatteredData, workers: [String])], _ request: TransitionContext
  ) {
    var whoHas: [(Key, [String])] = []
    var nbytes: [Value.Entry] = []
    for (one, workers) in data {
      // If a task of that key has no result yet, it continues as if nothing had been scattered.
      let isFree = state.tasks[one.key].map { $0.state == .memory } ?? true
      let holders = workers.filter { state.workers.contains($0) }
      guard isFree, !holders.isEmpty else {
        for worker in holders { free([one.key], on: worker, request) }
        if isFree { instruct(.cancelled([one.key])) }
        continue
      }
      whoHas.append((one.key, holders))
      nbytes.append(.init(one.key.value, .int(one.nbytes)))
    }
    if !whoHas.isEmpty {
      emit(
        Event(
          .stimulus, time: request.time, stimulusID: request.stimulusID,
          args: Args(named: [
            .init("op", "update-data"), .init("client", .string(client)),
            .init("who_has", ComputeRequest.value(whoHas)), .init("nbytes", .dict(nbytes)),
          ])))
    }
    desire(data.map(\.0.key), client, request)
    logEvent(
      [client, "all"],
      .object([
        "action": "scatter", "client": .string(client), "count": .int(Int64(data.count)),
      ]), request)
  }
}
