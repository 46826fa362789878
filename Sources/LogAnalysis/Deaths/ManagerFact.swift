import LogFormat
import TaskLogPlugin

/// A report of a manager about the end of one worker, as it is in the log.
package struct ManagerFact: Sendable, Equatable {
  package var manager: ManagerReport.Manager
  /// `pod dask/worker-1`, `job 123`
  package var object: String
  package var reason: String
  package var message: String?
  package var time: Int64
  package var exitCode: Int64?
  package var signal: Int64?
  package var failedNode: String?
  /// The number of workers that it may be about: of a container or a step it does not say which of
  /// its processes ran out of memory.
  package var workers: Int64

  package init(
    _ manager: ManagerReport.Manager, _ object: String, _ reason: String, message: String? = nil,
    time: Int64, exitCode: Int64? = nil, signal: Int64? = nil, failedNode: String? = nil,
    workers: Int64 = 1
  ) {
    (self.manager, self.object, self.reason, self.message) = (manager, object, reason, message)
    (self.time, self.exitCode, self.signal) = (time, exitCode, signal)
    (self.failedNode, self.workers) = (failedNode, workers)
  }

  /// - Returns: `nil` for what a later version wrote.
  init?(_ args: Value) {
    guard let manager = args["manager"]?.string.flatMap(ManagerReport.Manager.init),
      let object = args["object"]?.string, let reason = args["reason"]?.string,
      let time = args["at_ns"]?.int
    else { return nil }
    self.init(
      manager, object, reason, message: args["message"]?.string, time: time,
      exitCode: args["exitcode"]?.int, signal: args["signal"]?.int,
      failedNode: args["failed_node"]?.string, workers: args["workers"]?.int ?? 1)
  }

  var effect: ManagerEffect? { ManagerEffect(manager, reason: reason) }

  /// What tells it from others about the same worker.
  var name: String { "\(manager.rawValue) \(object) \(reason) \(time)" }

  /// - Parameter worker: the one that it is about.
  func args(about worker: IdentifiedWorker) -> Args {
    func text(_ text: String?) -> Value { text.map(Value.string) ?? .null }
    func number(_ number: Int64?) -> Value { number.map(Value.int) ?? .null }
    let values: KeyValuePairs<String, Value> = [
      "manager": .string(manager.rawValue), "object": .string(object), "reason": .string(reason),
      "message": text(message), "at_ns": .int(time), "exitcode": number(exitCode),
      "signal": number(signal), "failed_node": text(failedNode), "workers": .int(workers),
      "life": .int(worker.life), "server_id": text(worker.serverID),
    ]
    return Args(
      Args.Content(named: values.filter { $0.value != .null }.map { .init($0.key, $0.value) }))
  }
}
