import LogFormat
import TaskLogPlugin

/// Finds the workers that the reports of managers are about: by the identities that workers
/// recorded, and by the time at which they left.
package struct ManagerJoin {
  /// Why a report is about none of the workers.
  package enum Miss: String, Sendable, CaseIterable {
    case identity = "no worker of the log has recorded this identity"
    case time = "no worker that it names left at that time"
    case present = "the workers that it names have not left"
    case undated = "it does not say when"
  }

  private let workers: [IdentifiedWorker]
  /// What clocks differ by, and what a time in whole seconds leaves out.
  private static let slack = 2e9
  /// For how long a worker without heartbeats may have been silent: Dask's default of
  /// `distributed.scheduler.worker-ttl`.
  private static let mostSilence: Int64 = 300_000_000_000

  package init(_ workers: [IdentifiedWorker]) { self.workers = workers }

  /// The indexes of the workers that a report is about, and its fact about them.
  package func find(_ report: ManagerReport) -> Result<(workers: [Int], fact: ManagerFact), Failure>
  {
    guard let effect = ManagerEffect(report.manager, reason: report.reason) else {
      return .failure(Failure(miss: .identity))
    }
    let named = workers.indices.filter { index in
      workers[index].identity.map { Self.names(report.subject, $0) } ?? false
    }
    guard !named.isEmpty else { return .failure(Failure(miss: .identity)) }
    guard let time = report.time else { return .failure(Failure(miss: .undated)) }
    guard named.contains(where: { workers[$0].left != nil }) else {
      return .failure(Failure(miss: .present))
    }
    let fitting = latest(
      named.compactMap { index in
        distance(time, effect, workers[index]).map { (index, $0) }
      })
    guard !fitting.isEmpty else { return .failure(Failure(miss: .time)) }
    return .success(
      (
        fitting,
        ManagerFact(
          report.manager, report.object, report.reason, message: report.message, time: time,
          exitCode: report.exitCode, signal: report.signal, failedNode: report.failedNode,
          workers: Int64(named.count))
      ))
  }

  package struct Failure: Error { package var miss: Miss }

  private static func names(_ subject: ManagerReport.Subject, _ own: HostIdentity) -> Bool {
    func isPod(_ namespace: String, _ name: String, _ uid: String? = nil) -> Bool {
      guard own.pod == name, own.namespace ?? namespace == namespace else { return false }
      if let uid, let known = own.podUID { return uid == known }
      return true
    }
    switch subject {
    case .pod(let namespace, let name, let uid): return isPod(namespace, name, uid)
    case .container(let id, let namespace, let pod, let isOnly):
      if let id, let known = own.containerID, id == known { return true }
      // In some runtimes a container sees only the ID of its pod's sandbox.
      return isOnly && isPod(namespace, pod)
    case .node(let name): return own.host == name
    case .process(let node, let pid):
      return own.host == node && own.pid == pid && own.containerID == nil && own.pod == nil
    case .job(let id, let step):
      guard own.job["SLURM_JOB_ID"] == id else { return false }
      return step.map { $0 == own.job["SLURM_STEP_ID"] ?? "batch" } ?? true
    }
  }

  /// How far a time is from the worker's end: between its last heartbeat, after which it may have
  /// died at any time, and when it left; `nil` if it is too far.
  private func distance(
    _ time: Int64, _ effect: ManagerEffect, _ worker: IdentifiedWorker
  ) -> Double? {
    guard let left = worker.left else { return nil }
    let silent = worker.lastSeen ?? max(left - Self.mostSilence, worker.joined ?? .min)
    let seen = min(silent, left)
    if let joined = worker.joined, Double(time) < Double(joined) - Self.slack { return nil }
    let before = Double(seen) - Double(time)
    let after = Double(time) - Double(left)
    guard before <= effect.mostBefore * 1e9, after <= effect.mostAfter * 1e9 else { return nil }
    return max(0, before, after)
  }

  /// Of workers with the same name, which a nanny has started one after the other, the one that it
  /// is about.
  private func latest(_ fitting: [(index: Int, distance: Double)]) -> [Int] {
    var best: [String: (index: Int, distance: Double)] = [:]
    for one in fitting {
      let name = workers[one.index].name
      let key = name == "null" ? workers[one.index].address : name
      if let known = best[key], known.distance < one.distance { continue }
      best[key] = one
    }
    return best.values.map(\.index).sorted()
  }
}
