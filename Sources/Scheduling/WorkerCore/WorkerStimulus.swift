import TaskLogPlugin

/// What reaches a worker from outside: Dask's `StateMachineEvent`.
indirect enum WorkerStimulus: Sendable {
  /// The scheduler asks for a task to be run here.
  case computeTask(ComputeTask)
  /// The scheduler needs these no more.
  case freeKeys([Key])
  case executeSuccess(ExecuteSuccess)
  case executeFailure(ExecuteFailure)
  /// A task has thrown `Reschedule`: Dask's `RescheduleEvent`.
  case reschedule(Key)
  /// A task that runs leaves its thread to others: Dask's `SecedeEvent`.
  case secede(Key, computeSeconds: Double)
  /// The scheduler wants to give the task to another worker.
  case stealRequest(Key)
  /// Results have come from another worker; fewer than were asked for where it has lost some.
  case gatherSuccess(worker: String, nbytes: [(Key, Int64)], start: Double, stop: Double)
  /// The other worker could not be reached.
  case gatherFailure(worker: String)
  /// Results are to be kept here as well: Dask's `AcquireReplicasEvent`.
  case acquireReplicas([(Key, [String])])
  /// A worker is gone: Dask's `RemoveWorkerEvent`.
  case removeWorker(String)
  /// Data from outside is to be kept here: Dask's `UpdateDataEvent`.
  case updateData([ScatteredData])
  /// Where results are that were missing: Dask's `RefreshWhoHasEvent`.
  case refreshWhoHas([(Key, [String])])
}

/// A piece of data that is scattered.
struct ScatteredData: Sendable {
  var key: Key
  var nbytes: Int64
  var typeName: String
}

/// A task has left its thread to others: Dask's `LongRunningMsg`.
struct LongRunning: Sendable {
  var key: Key
  var worker: String
  var taskRunID: Int64
  /// How long it has run until then; nothing when the scheduler was told before.
  var computeSeconds: Double?
}

/// A task to be run, and where its dependencies are: Dask's `ComputeTaskEvent`.
struct ComputeTask: Sendable {
  var key: Key
  var taskRunID: Int64
  var priority: Priority
  var whoHas: [(Key, [String])]
  var annotations: [Value.Entry]
  var resourceRestrictions: [Resource] = []
  /// What it does.
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

/// What a worker wants to be done: Dask's `Instruction`.
indirect enum WorkerInstruction: Sendable {
  case execute(Key, taskRunID: Int64)
  /// Fetch results from another worker.
  case gather(worker: String, keys: [Key])
  /// The result of this key is needed no more.
  case drop(Key)
  case taskFinished(TaskFinished, stimulusID: String)
  case taskErred(TaskErred, stimulusID: String)
  case addKeys([Key], stimulusID: String)
  case reschedule(Key, stimulusID: String)
  case longRunning(LongRunning, stimulusID: String)
  /// What has become of a task that was to be given away; no state when it is not known here.
  case stealResponse(Key, state: State?, stimulusID: String)
  /// These have to be fetched, and nobody is known to hold them. Dask asks once a second; here the
  /// scheduler is asked at once.
  case requestRefreshWhoHas([Key], stimulusID: String)
}
