import LogFormat
import TaskLogPlugin

/// Reads the jobs of `sacct --json`: https://slurm.schedmd.com/sacct.html
///
/// Its fields differ by version: a state is text or a list of texts, a number may be an object with
/// `set`, `infinite` and `number`.
extension ManagerReport {
  static func slurm(_ job: Value) -> [ManagerReport] {
    guard let id = job["job_id"].flatMap(name) else { return [] }
    let steps = (job["steps"]?.elements ?? []).compactMap { step($0, ofJob: id) }
    let state = job["state"]
    guard let reason = state.flatMap({ $0["current"] ?? $0 }).flatMap(endState) else {
      return steps
    }
    let hasOneNode = number(job["allocation_nodes"]) ?? 1 <= 1
    // That the memory of a step ran out, the step says itself.
    if reason == "OUT_OF_MEMORY" || reason == "FAILED" || reason == "COMPLETED", !steps.isEmpty {
      return steps
    }
    var report = ManagerReport(
      manager: .slurm, subject: .job(id: id, step: nil), reason: reason,
      message: details(job, reason), time: number(job["time"]?["end"]).flatMap { seconds($0) })
    if reason == "NODE_FAIL" {
      report.failedNode = text(job["failed_node"]) ?? (hasOneNode ? text(job["nodes"]) : nil)
    }
    (report.exitCode, report.signal) = exit(job["exit_code"])
    return [report] + steps
  }

  /// What the word for the state leaves out.
  private static func details(_ job: Value, _ reason: String) -> String? {
    switch reason {
    case "TIMEOUT": number(job["time"]?["limit"]).map { "limit \(Int64(saturating: $0)) min" }
    case "CANCELLED":
      (text(job["kill_request_user"]) ?? text(job["state"]?["kill_request_user"])).map {
        "by \($0)"
      }
    default: text(job["state"]?["reason"]).flatMap { $0 == "None" ? nil : $0 }
    }
  }

  /// A step, if its end is about its own processes: that of its job ends its other steps.
  private static func step(_ step: Value, ofJob job: String) -> ManagerReport? {
    guard let reason = step["state"].flatMap(endState),
      ["OUT_OF_MEMORY", "FAILED", "COMPLETED"].contains(reason)
    else { return nil }
    let id = step["step"]?["id"]
    // `123.batch`, or the parts of it.
    guard
      let own = id.flatMap({ $0.string ?? $0["step_id"].flatMap(name) }).map({
        String($0.split(separator: ".").last ?? "")
      }), own != "extern"
    else { return nil }
    let (code, signal) = exit(step["exit_code"])
    return ManagerReport(
      manager: .slurm, subject: .job(id: job, step: own), reason: reason, message: nil,
      time: number(step["time"]?["end"]).flatMap { seconds($0) }, exitCode: code, signal: signal)
  }

  private static func endState(_ state: Value) -> String? {
    let words = state.elements?.compactMap(\.string) ?? [state.string ?? ""]
    return words.lazy.flatMap { $0.split(separator: " ").prefix(1).map(String.init) }
      .first { ManagerEffect(.slurm, reason: $0) != nil }
  }

  private static func exit(_ code: Value?) -> (code: Int64?, signal: Int64?) {
    let signal = code?["signal"]
    let found = number(signal?["id"]) ?? number(signal?["signal_id"])
    return (
      number(code?["return_code"]).map { Int64(saturating: $0) },
      // 125 stands for memory that ran out.
      found.flatMap { $0 > 0 && $0 < 65 ? Int64(saturating: $0) : nil }
    )
  }

  private static func number(_ value: Value?) -> Double? {
    let number: Double?
    if let object = value?["number"] {
      guard value?["set"]?.bool != false, value?["infinite"]?.bool != true else { return nil }
      number = object.number
    } else {
      number = value?.number
    }
    return number.flatMap { abs($0) < 9e18 ? $0 : nil }
  }

  private static func name(_ value: Value) -> String? {
    value.string ?? number(value).map { String(Int64(saturating: $0)) }
  }
}
