import LogFormat
import TaskLogPlugin

/// What Kubernetes or SLURM said about an end that a worker may have had part in.
///
/// Events hold the words of the manager; what they mean is concluded on reading.
package struct ManagerReport: Sendable, Equatable {
  package enum Manager: String, Sendable {
    case kubernetes = "Kubernetes"
    case slurm = "SLURM"
  }

  /// By what a worker is recognized.
  package enum Subject: Sendable, Equatable {
    case pod(namespace: String, name: String, uid: String?)
    /// A container of a pod; `isOnly` if the pod has no other.
    case container(id: String?, namespace: String, pod: String, isOnly: Bool)
    case node(String)
    /// A process by its ID on its host.
    case process(node: String, pid: Int64)
    /// A job of SLURM, or a step of it, such as `batch` and `0`.
    case job(id: String, step: String?)
  }

  package var manager: Manager
  package var subject: Subject
  /// The manager's word: `Evicted`, `OOMKilled`, `TIMEOUT`, …
  package var reason: String
  package var message: String?
  /// Nanoseconds since 1970 UTC, by the manager's clock; `nil` if it does not say.
  package var time: Int64?
  package var exitCode: Int64?
  package var signal: Int64?
  /// The node that failed, if the manager names it.
  package var failedNode: String?

  /// Names the subject: `pod dask/worker-1`, `job 123 (step batch)`.
  package var object: String {
    switch subject {
    case .pod(let namespace, let name, _): "pod \(namespace)/\(name)"
    case .container(_, let namespace, let pod, _): "pod \(namespace)/\(pod)"
    case .node(let name): "node \(name)"
    case .process(let node, let pid): "process \(pid) on node \(node)"
    case .job(let id, let step): "job \(id)" + (step.map { " (step \($0))" } ?? "")
    }
  }
}

/// What the words of a manager mean for the workers that they are about.
package enum ManagerEffect: Sendable, Equatable {
  /// Of one process among those of the container or step: which, the manager does not say.
  case outOfMemory
  case evicted, preempted, walltime, hostGone
  /// On request, or as another part of the job failed.
  case stopped
  /// The container or step ended, with what its exit code says.
  case ended

  /// - Returns: `nil` for words about something else, such as the start of a pod.
  package init?(_ manager: ManagerReport.Manager, reason: String) {
    switch (manager, reason) {
    case (.kubernetes, "OOMKilled"), (.kubernetes, "OOMKilling"), (.kubernetes, "SystemOOM"),
      (.slurm, "OUT_OF_MEMORY"):
      self = .outOfMemory
    case (.kubernetes, "Evicted"), (.kubernetes, "TaintManagerEviction"),
      (.kubernetes, "DeletionByTaintManager"), (.kubernetes, "EvictionByEvictionAPI"),
      (.kubernetes, "NodeControllerEviction"), (.kubernetes, "ScaleDown"):
      self = .evicted
    case (.kubernetes, "Preempted"), (.kubernetes, "Preempting"),
      (.kubernetes, "PreemptionByScheduler"), (.slurm, "PREEMPTED"):
      self = .preempted
    case (.kubernetes, "DeadlineExceeded"), (.slurm, "TIMEOUT"), (.slurm, "DEADLINE"):
      self = .walltime
    case (.kubernetes, "NodeNotReady"), (.kubernetes, "NodeLost"), (.kubernetes, "Shutdown"),
      (.kubernetes, "Rebooted"), (.kubernetes, "RemovingNode"), (.kubernetes, "DeletingNode"),
      (.kubernetes, "NodeShutdown"), (.kubernetes, "DeletionByPodGC"), (.slurm, "NODE_FAIL"),
      (.slurm, "BOOT_FAIL"):
      self = .hostGone
    case (.kubernetes, "Killing"), (.slurm, "CANCELLED"): self = .stopped
    case (.kubernetes, "Error"), (.kubernetes, "Completed"), (.kubernetes, "ContainerCannotRun"),
      (.slurm, "FAILED"), (.slurm, "COMPLETED"):
      self = .ended
    default: return nil
    }
  }

  /// Whether it is about all processes of its subject.
  package var isOfAll: Bool { self != .outOfMemory && self != .ended }

  /// For how long a worker may still be heard of after the time that a manager gives, in seconds:
  /// the time to end in an orderly way, and what two clocks may differ by.
  package var mostBefore: Double {
    switch self {
    case .evicted, .preempted, .walltime, .stopped: 120
    case .outOfMemory, .ended, .hostGone: 30
    }
  }

  /// How long after a worker left the manager may have noticed, in seconds.
  package var mostAfter: Double {
    switch self {
    // SLURM's SlurmdTimeout is 300 s by default, and a node that restarts reports when it is back.
    case .hostGone: 900
    // Evicted from a node that does not answer: after 300 s by default.
    case .evicted: 420
    default: 120
    }
  }
}

/// The output of a manager cannot be read.
package enum ManagerReportError: Error, Sendable, CustomStringConvertible {
  case notJSON(path: String)
  case unknown(path: String)

  package var description: String {
    switch self {
    case .notJSON(let path): "\(path): is not JSON; \(Self.expected)"
    case .unknown(let path): "\(path): is other JSON; \(Self.expected)"
    }
  }

  private static let expected =
    "expected the output of 'kubectl get events -o json', 'kubectl get pods -o json' or "
    + "'sacct --json'"
}

extension ManagerReport {
  /// The reports in the output of a manager, recognized by content, and the number of its entries
  /// that are about something else.
  ///
  /// - Throws: `ManagerReportError`.
  package static func read(
    _ text: String, path: String
  ) throws -> (reports: [ManagerReport], others: Int) {
    guard let output = try? JSONReader.value(text) else {
      throw ManagerReportError.notJSON(path: path)
    }
    let items: [[ManagerReport]]
    if let jobs = output["jobs"]?.elements {
      items = jobs.map(slurm)
    } else if let all = output["items"]?.elements {
      items = all.map(kubernetes)
    } else if ["Event", "Pod"].contains(output["kind"]?.string) {
      items = [kubernetes(output)]
    } else {
      throw ManagerReportError.unknown(path: path)
    }
    return (items.flatMap(\.self), items.count { $0.isEmpty })
  }

  /// Text that is not empty.
  static func text(_ value: Value?) -> String? {
    guard let text = value?.string, !text.isEmpty else { return nil }
    return text
  }

  static func seconds(_ number: Double) -> Int64? {
    guard number.isFinite, number > 0, number < 9e9 else { return nil }
    return Int64(saturating: number * 1e9)
  }
}
