import TaskLogPlugin

/// A stimulus of the scheduler.
indirect enum SchedulerStimulus: Sendable {
  case start
  case beforeClose
  case close
  case addClient(String)
  case removeClient(String)
  case addWorker(WorkerSnapshot)
  /// The worker is gone; `expected` if it was asked to leave.
  case removeWorker(address: String, expected: Bool)
  /// The workers should leave once their results have been moved to others.
  case retireWorkers([String])
  /// Forget all tasks and remove all workers.
  case restart
  case updateGraph(NewGraph)
  case clientReleasesKeys(client: String, keys: [Key])
  /// Cancel these tasks and their dependents. A task that another client holds too continues,
  /// unless forced.
  case cancel(client: String, keys: [Key], force: Bool)
  case taskFinished(TaskFinished)
  case taskErred(TaskErred)
  /// A worker has fetched results from others.
  case addKeys(worker: String, keys: [Key])
  /// A worker knows no holder of these results.
  case requestRefreshWhoHas(worker: String, keys: [Key])
  /// A task has seceded from its thread.
  case longRunning(LongRunning)
  /// A task asks to be run again, on the same worker or another.
  case reschedule(worker: String, key: Key)
  /// Scattered data is held by these workers; the client holds futures of it.
  case updateData(client: String, [(ScatteredData, workers: [String])])
  /// The client wants these keys too: fire-and-forget, or data scattered by others.
  case clientDesiresKeys(client: String, keys: [Key])
  /// Idle workers should take tasks from overloaded ones.
  case balance
  /// The victim's response to a steal request.
  case stealResponse(worker: String, key: Key, state: State?, stimulusID: String)
  /// Fail tasks that no worker has been able to run for this long; Dask's `no-workers-timeout`.
  case noWorkersTimeout(nanoseconds: Int64)
  case logEvent(topic: String, message: Value)
}

/// A graph as submitted by a client, which holds futures of `keys`.
struct NewGraph: Sendable {
  var client: String
  var tasks: [NewTask]
  var keys: [Key]
  /// The task that submits the graph, if any.
  var submittingTask: Key?
}

/// A task as submitted by a client.
struct NewTask: Sendable {
  var key: Key
  var dependencies: [Key]
  /// Higher runs first, as in the API.
  var userPriority: Double = 0
  var retries: Int = 0
  var annotations: [Value.Entry] = []
  /// Addresses of the workers that may run it; empty if all may.
  var workers: [String] = []
  var allowOtherWorkers = false
  /// What a worker must have to run it.
  var resources: [Resource] = []
  /// The task's function.
  var runSpec: (any AnyObject & Sendable)?
}

/// A worker has run a task: Dask's `TaskFinishedMsg`.
struct TaskFinished: Sendable {
  var key: Key
  var worker: String
  var taskRunID: Int64
  var nbytes: Int64
  var type: String
  var typeName: String
  var thread: Int64
  var startStops: [StartStop]

  var args: Args {
    .run(
      RunReport(
        worker: worker, nbytes: nbytes, type: type, typeName: typeName, thread: thread,
        startStops: startStops))
  }
}

/// A task has failed on a worker: Dask's `TaskErredMsg`.
struct TaskErred: Sendable {
  var key: Key
  var worker: String
  var taskRunID: Int64
  /// The type name of the error.
  var exceptionType: String
  var exceptionText: String
  var tracebackText: String
  var thread: Int64
  var startStops: [StartStop]

  var args: Args {
    Args(named: [
      .init("cause", key.value), .init("worker", .string(worker)),
      .init(
        "exception",
        .object(["type": .string(exceptionType), "description": .string(exceptionText)])),
      .init("traceback", .null), .init("exception_text", .string(exceptionText)),
      .init("traceback_text", .string(tracebackText)), .init("thread", .int(thread)),
      .init("startstops", .list(startStops.map(\.value))), .init("status", "error"),
    ])
  }
}

/// An instruction of the scheduler.
indirect enum SchedulerInstruction: Sendable {
  case toWorker(address: String, WorkerStimulus, stimulusID: String)
  case keyInMemory(client: String, key: Key)
  /// `blame` is the key of the task that failed by itself.
  case taskErred(
    client: String, key: Key, blame: Key, exceptionText: String, tracebackText: String)
  case lostData(client: String, key: Key)
  /// To every client: futures of these keys are cancelled.
  case cancelled([Key])
  /// The retirement of a worker has ended: it has left, or stays because no worker can receive its
  /// results.
  case retired(address: String, succeeded: Bool)
}
