import EventLog
import LogMaintenance

extension RunInfo {
  /// `closed`, `died` or `running`; of a copy of a log also as of when.
  package var endText: String { end.text(asOf: asOf, isRunning: runningAsOf != nil) }
}

extension RunEntry {
  /// As `RunInfo.endText`.
  package var endText: String { end.text(asOf: asOf, isRunning: runningAsOf != nil) }
}

extension RunEnd {
  fileprivate func text(asOf: Int64?, isRunning: Bool) -> String {
    guard let asOf else { return rawValue }
    let time = Timestamp.iso(asOf)
    return isRunning
      ? "\(RunEnd.running.rawValue), as of \(time)" : "died, or delivery stopped, after \(time)"
  }
}
