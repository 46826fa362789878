import EventLog

extension RunInfo {
  /// `closed`, `died` or `running`; of a copy of a log also as of when.
  package var endText: String {
    copied.map { "\(RunEnd.running.rawValue), as of \(Timestamp.iso($0))" } ?? end.rawValue
  }
}
