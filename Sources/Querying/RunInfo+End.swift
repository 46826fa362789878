import EventLog

extension RunInfo {
  /// `closed`, `died` or `running`; of a copy of a log also as of when.
  package var endText: String {
    guard let asOf else { return end.rawValue }
    let time = Timestamp.iso(asOf)
    return runningAsOf == nil
      ? "died, or delivery stopped, after \(time)" : "\(RunEnd.running.rawValue), as of \(time)"
  }
}
