import TaskLogPlugin

/// A stimulus of a worker: Dask's `StateMachineEvent`.
indirect enum WorkerStimulus: Sendable {
  /// The scheduler requests a task to be run here.
  case computeTask(ComputeTask)
  /// The scheduler no longer needs these keys.
  case freeKeys([Key])
  case executeSuccess(ExecuteSuccess)
  case executeFailure(ExecuteFailure)
  /// A task has thrown `Reschedule`: Dask's `RescheduleEvent`.
  case reschedule(Key)
  /// A running task secedes from its thread: Dask's `SecedeEvent`.
  case secede(Key, computeSeconds: Double)
  /// The scheduler wants to move the task to another worker.
  case stealRequest(Key)
  /// Results have arrived from another worker; fewer than requested if it has lost some.
  case gatherSuccess(worker: String, nbytes: [(Key, Int64)], start: Double, stop: Double)
  /// The other worker could not be reached.
  case gatherFailure(worker: String)
  /// Results are to be replicated here: Dask's `AcquireReplicasEvent`.
  case acquireReplicas([(Key, [String])])
  /// A worker is gone: Dask's `RemoveWorkerEvent`.
  case removeWorker(String)
  /// Scattered data is to be stored here: Dask's `UpdateDataEvent`.
  case updateData([ScatteredData])
  /// The current holders of missing results: Dask's `RefreshWhoHasEvent`.
  case refreshWhoHas([(Key, [String])])
}

/// The metadata of a scattered value.
struct ScatteredData: Sendable {
  var key: Key
  var nbytes: Int64
  var typeName: String
}

/// A task has seceded from its thread: Dask's `LongRunningMsg`.
struct LongRunning: Sendable {
  var key: Key
  var worker: String
  var taskRunID: Int64
  /// How many seconds it ran until then; `nil` if the scheduler was notified before.
  var computeSeconds: Double?
}

/// A task to be run, and the holders of its dependencies: Dask's `ComputeTaskEvent`.
struct ComputeTask: Sendable {
  var key: Key
  var taskRunID: Int64
  var priority: Priority
  var whoHas: [(Key, [String])]
  var annotations: [Value.Entry]
  var resourceRestrictions: [Resource] = []
  /// The task's function.
  var runSpec: (any AnyObject & Sendable)?

  var args: Args {
    .compute(
      ComputeRequest(
        priority: priority, whoHas: whoHas, annotations: annotations.isEmpty ? nil : annotations,
        resourceRestrictions: resourceRestrictions))
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

/// An instruction of a worker: Dask's `Instruction`.
indirect enum WorkerInstruction: Sendable {
  case execute(Key, taskRunID: Int64)
  /// Fetch results from another worker.
  case gather(worker: String, keys: [Key])
  /// Drop the result of this key.
  case drop(Key)
  case taskFinished(TaskFinished, stimulusID: String)
  case taskErred(TaskErred, stimulusID: String)
  case addKeys([Key], stimulusID: String)
  case reschedule(Key, stimulusID: String)
  case longRunning(LongRunning, stimulusID: String)
  /// The response to a steal request; `state` is `nil` if the task is unknown here.
  case stealResponse(Key, state: State?, stimulusID: String)
  /// These keys have to be fetched and have no known holder. Dask asks once a second; here the
  /// scheduler is asked at once.
  case requestRefreshWhoHas([Key], stimulusID: String)
}
