import TaskLogPlugin

/// What reaches the scheduler from outside.
enum SchedulerStimulus: Sendable {
  case start
  case beforeClose
  case close
  case addClient(String)
  case removeClient(String)
  case addWorker(WorkerFacts)
  /// The worker is gone; `expected` when it was asked to go.
  case removeWorker(address: String, expected: Bool)
  /// The workers are to go once their results are with others.
  case retireWorkers([String])
  /// All tasks are forgotten, all workers go.
  case restart
  /// Tasks enter; the client holds futures of `keys`.
  case updateGraph(client: String, tasks: [NewTask], keys: [Key])
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
  case logEvent(topic: String, message: Value)
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
      RunFacts(
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
enum SchedulerInstruction: Sendable {
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
  /// The task is no more: whatever is kept under its key can go.
  case forgotten(key: Key)
}
