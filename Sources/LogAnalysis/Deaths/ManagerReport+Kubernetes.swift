import LogFormat
import TaskLogPlugin

/// Reads events and pods of Kubernetes: https://kubernetes.io/docs/reference/kubernetes-api/
extension ManagerReport {
  static func kubernetes(_ item: Value) -> [ManagerReport] {
    switch item["kind"]?.string {
    case "Pod": pod(item)
    default: event(item).map { [$0] } ?? []
    }
  }

  // MARK: - Events

  /// An event of `v1`, or of `events.k8s.io/v1`, whose fields have other names.
  private static func event(_ item: Value) -> ManagerReport? {
    guard let reason = text(item["reason"]), ManagerEffect(.kubernetes, reason: reason) != nil,
      let object = item["involvedObject"] ?? item["regarding"], let name = text(object["name"])
    else { return nil }
    let message = text(item["message"]) ?? text(item["note"])
    // What the taint manager says if it has changed its mind has the same reason.
    guard message?.hasPrefix("Cancelling") != true else { return nil }
    let subject: Subject
    switch object["kind"]?.string {
    case "Pod":
      subject = .pod(
        namespace: text(object["namespace"]) ?? "default", name: name, uid: text(object["uid"]))
    case "Node":
      if ["OOMKilling", "SystemOOM"].contains(reason) {
        guard let pid = message.flatMap(pid(inMessage:)) else { return nil }
        subject = .process(node: name, pid: pid)
      } else {
        subject = .node(name)
      }
    default: return nil
    }
    let times = [
      item["series"]?["lastObservedTime"], item["lastTimestamp"], item["deprecatedLastTimestamp"],
      item["eventTime"], item["firstTimestamp"], item["metadata"]?["creationTimestamp"],
    ]
    return ManagerReport(
      manager: .kubernetes, subject: subject, reason: reason, message: message,
      time: times.lazy.compactMap { text($0).flatMap(UTCTime.nanoseconds) }.first)
  }

  /// The kubelet's `System OOM encountered, victim process: dask, pid: 12`, and the kernel's
  /// `Killed process 12 (dask)`.
  private static func pid(inMessage message: String) -> Int64? {
    for words in ["Killed process ", "pid: "] {
      guard let range = message.firstRange(of: words) else { continue }
      return Int64(message[range.upperBound...].prefix { $0.isASCII && $0.isNumber })
    }
    return nil
  }

  // MARK: - Pods

  /// The end of a pod and of its containers: no event says that a container is `OOMKilled`.
  private static func pod(_ item: Value) -> [ManagerReport] {
    guard let name = text(item["metadata"]?["name"]), let status = item["status"] else { return [] }
    let namespace = text(item["metadata"]?["namespace"]) ?? "default"
    var found: [ManagerReport] = []
    let containers = status["containerStatuses"]?.elements ?? []
    var lastEnd: Int64?
    for container in containers {
      for state in [container["lastState"], container["state"]] {
        guard let ended = state?["terminated"] else { continue }
        let time = text(ended["finishedAt"]).flatMap(UTCTime.nanoseconds)
        lastEnd = max(lastEnd ?? .min, time ?? .min)
        guard let reason = text(ended["reason"]),
          ManagerEffect(.kubernetes, reason: reason) != nil
        else { continue }
        let id = text(ended["containerID"]) ?? text(container["containerID"])
        found.append(
          ManagerReport(
            manager: .kubernetes,
            subject: .container(
              // `containerd://0123…`
              id: id.map { String($0.split(separator: "/").last ?? "") }, namespace: namespace,
              pod: name, isOnly: containers.count == 1),
            reason: reason, message: text(ended["message"]), time: time,
            exitCode: ended["exitCode"]?.int, signal: ended["signal"]?.int))
      }
    }
    let subject = Subject.pod(
      namespace: namespace, name: name, uid: text(item["metadata"]?["uid"]))
    let disruption = status["conditions"]?.elements?.first { condition in
      condition["type"]?.string == "DisruptionTarget" && condition["status"]?.string == "True"
    }
    if let reason = text(status["reason"]), ManagerEffect(.kubernetes, reason: reason) != nil {
      let since = text(disruption?["lastTransitionTime"]).flatMap(UTCTime.nanoseconds)
      found.append(
        ManagerReport(
          manager: .kubernetes, subject: subject, reason: reason, message: text(status["message"]),
          time: since ?? lastEnd))
    } else if let disruption, let reason = text(disruption["reason"]),
      ManagerEffect(.kubernetes, reason: reason) != nil
    {
      found.append(
        ManagerReport(
          manager: .kubernetes, subject: subject, reason: reason,
          message: text(disruption["message"]),
          time: text(disruption["lastTransitionTime"]).flatMap(UTCTime.nanoseconds)))
    }
    return found
  }
}
