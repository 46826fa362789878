import TaskLogPlugin

/// What reaches a worker from outside: Dask's `StateMachineEvent`.
enum WorkerStimulus: Sendable {
  /// The scheduler asks for a task to be run here.
  case computeTask(ComputeTask)
  /// The scheduler needs these no more.
  case freeKeys([Key])
  case executeSuccess(ExecuteSuccess)
  case executeFailure(ExecuteFailure)
  /// Results have come from another worker; fewer than were asked for where it has lost some.
  case gatherSuccess(worker: String, nbytes: [(Key, Int64)], start: Double, stop: Double)
  /// The other worker could not be reached.
  case gatherFailure(worker: String)
  /// Results are to be kept here as well: Dask's `AcquireReplicasEvent`.
  case acquireReplicas([(Key, [String])])
  /// Where results are that were missing: Dask's `RefreshWhoHasEvent`.
  case refreshWhoHas([(Key, [String])])
}

/// A task to be run, and where its dependencies are: Dask's `ComputeTaskEvent`.
struct ComputeTask: Sendable {
  var key: Key
  var taskRunID: Int64
  var priority: Priority
  var whoHas: [(Key, [String])]
  var annotations: [Value.Entry]

  var args: Args {
    .compute(
      ComputeFacts(
        priority: priority, whoHas: whoHas, annotations: annotations.isEmpty ? nil : annotations))
  }
}

struct ExecuteSuccess: Sendable {
  var key: Key
  var taskRunID: Int64
  var nbytes: Int64
  var type: String
  var typeName: String
  var thread: Int64
  /// Seconds since 1970 UTC.
  var start: Double
  var stop: Double
}

struct ExecuteFailure: Sendable {
  var key: Key
  var taskRunID: Int64
  var exceptionType: String
  var exceptionText: String
  var tracebackText: String
  var thread: Int64
  /// Seconds since 1970 UTC.
  var start: Double
  var stop: Double
}

/// What a worker wants to be done: Dask's `Instruction`.
enum WorkerInstruction: Sendable {
  case execute(Key, taskRunID: Int64)
  /// Fetch results from another worker.
  case gather(worker: String, keys: [Key])
  /// The result of this key is needed no more.
  case drop(Key)
  case taskFinished(TaskFinished, stimulusID: String)
  case taskErred(TaskErred, stimulusID: String)
  case addKeys([Key], stimulusID: String)
  /// These have to be fetched, and nobody is known to hold them. Dask asks once a second; here the
  /// scheduler is asked at once.
  case requestRefreshWhoHas([Key], stimulusID: String)
}
