import TaskLogPlugin

/// What reaches the scheduler from outside.
indirect enum SchedulerStimulus: Sendable {
  case start
  case beforeClose
  case close
  case addClient(String)
  case removeClient(String)
  case addWorker(WorkerSnapshot)
  /// The worker is gone; `expected` when it was asked to go.
  case removeWorker(address: String, expected: Bool)
  /// The workers are to go once their results are with others.
  case retireWorkers([String])
  /// All tasks are forgotten, all workers go.
  case restart
  case updateGraph(NewGraph)
  case clientReleasesKeys(client: String, keys: [Key])
  /// These tasks are not wanted any more, nor are those that need them. A task that another client
  /// holds too goes on, unless it is forced.
  case cancel(client: String, keys: [Key], force: Bool)
  case taskFinished(TaskFinished)
  case taskErred(TaskErred)
  /// A worker has fetched results from others.
  case addKeys(worker: String, keys: [Key])
  /// A worker knows nobody who holds these results.
  case requestRefreshWhoHas(worker: String, keys: [Key])
  /// A task has left its thread to others.
  case longRunning(LongRunning)
  /// A task has given itself up: it is to be run anew, there or elsewhere.
  case reschedule(worker: String, key: Key)
  /// Data from outside is with these workers; the client holds futures of it.
  case updateData(client: String, [(ScatteredData, workers: [String])])
  /// The client wants these as well: the fire-and-forget client's, what others scatter.
  case clientDesiresKeys(client: String, keys: [Key])
  /// Idle workers are to take tasks from those that have too many.
  case balance
  /// What has become of a task that was to be stolen.
  case stealResponse(worker: String, key: Key, state: State?, stimulusID: String)
  /// Tasks that no worker has been able to run for so long are given up; Dask's
  /// `no-workers-timeout`.
  case noWorkersTimeout(nanoseconds: Int64)
  case logEvent(topic: String, message: Value)
}

/// Tasks as a client submits them; it holds futures of `keys`.
struct NewGraph: Sendable {
  var client: String
  var tasks: [NewTask]
  var keys: [Key]
  /// The task that submits them, when one does.
  var submittingTask: Key?
}

/// A task as a client submits it.
struct NewTask: Sendable {
  var key: Key
  var dependencies: [Key]
  /// Higher runs first, as users think of it.
  var userPriority: Double = 0
  var retries: Int = 0
  var annotations: [Value.Entry] = []
  /// Addresses of the workers that may run it; empty when all may.
  var workers: [String] = []
  var allowOtherWorkers = false
  /// What a worker must have for it to run there.
  var resources: [Resource] = []
  /// What it does.
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
  /// The name of the error's type.
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

/// What the scheduler wants to be done.
indirect enum SchedulerInstruction: Sendable {
  case toWorker(address: String, WorkerStimulus, stimulusID: String)
  case keyInMemory(client: String, key: Key)
  /// The key of the task that failed on its own is `blame`.
  case taskErred(
    client: String, key: Key, blame: Key, exceptionText: String, tracebackText: String)
  case lostData(client: String, key: Key)
  /// To every client: futures of these keys come to nothing.
  case cancelled([Key])
  /// The retiring of a worker has come to its end: it is out, or it has to stay because nobody can
  /// take over its results.
  case retired(address: String, succeeded: Bool)
}
