import EventLog
import TaskLogPlugin

/// What the manager of its host knows a worker by, as far as it was recorded.
package struct HostIdentity: Sendable, Equatable {
  /// The event that says it.
  package var seq: Int64
  package var hostname: String?
  /// Differs after each start of the host.
  package var bootID: String?
  package var containerID: String?
  package var pod: String?
  package var podUID: String?
  package var namespace: String?
  package var node: String?
  /// Of its own process; in a container, the host knows it by another.
  package var pid: Int64?
  /// The variables of a batch system.
  package var job: [String: String] = [:]

  /// - Parameter isOfNanny: whether the process is that of its nanny.
  init(seq: Int64, _ args: Value, isOfNanny: Bool) {
    self.seq = seq
    func text(_ name: String) -> String? { ManagerReport.text(args[name]) }
    (hostname, bootID, containerID) = (text("hostname"), text("bootID"), text("containerID"))
    (pod, podUID) = (text("pod"), text("podUID"))
    (namespace, node) = (text("namespace"), text("node"))
    pid = isOfNanny ? nil : args["pid"]?.int
    if case .dict(let variables)? = args["job"] {
      for entry in variables {
        if let name = entry.key.string, let value = entry.value.string { job[name] = value }
      }
    }
  }

  /// What names its host for others there: a host's name in a pod is that of the pod.
  var host: String? { node ?? job["SLURMD_NODENAME"] ?? hostname }

  /// The time at which its job is to end, if the batch system has said so to the job.
  var jobEnd: Int64? {
    job["SLURM_JOB_END_TIME"].flatMap(Double.init).flatMap(ManagerReport.seconds)
  }

  /// Whether there is anything that a manager may name.
  var isJoinable: Bool { pod != nil || node != nil || job["SLURM_JOB_ID"] != nil || pid != nil }
}

/// A worker of a run, and what the manager of its host knows it by.
package struct IdentifiedWorker: Sendable {
  package var address: String
  package var life: Int64
  package var serverID: String?
  /// JSON.
  package var name: String
  package var identity: HostIdentity?
  package var joined: Int64?
  package var left: Int64?
  /// The time of its last heartbeat.
  package var lastSeen: Int64?
}

extension LogReader {
  /// The workers of a run, whether they left or not.
  ///
  /// - Throws: `LogError`.
  package func identifiedWorkers(of run: RunInfo) throws -> [IdentifiedWorker] {
    let lives = try workerLives(of: run)
    return try translating {
      var scan = try EndScan(self, run, lives)
      return try scan.identified()
    }
  }
}
