import TaskLogPlugin

/// Data that comes from outside and not from a task.
extension SchedulerCore {
  /// Dask's `update_data`.
  func updateData(
    _ client: String, _ data: [(ScatteredData, workers: [String])], _ request: Request
  ) {
    var whoHas: [(Key, [String])] = []
    var nbytes: [Value.Entry] = []
    for (one, workers) in data {
      // A task of that key that has not come to its result goes on as if nothing had been scattered.
      let isFree = state.tasks[one.key].map { $0.state == .memory } ?? true
      let there = workers.filter { state.workers.contains($0) }
      guard isFree, !there.isEmpty else {
        for worker in there { free([one.key], on: worker, request) }
        if isFree { instruct(.cancelled([one.key])) }
        continue
      }
      whoHas.append((one.key, there))
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
