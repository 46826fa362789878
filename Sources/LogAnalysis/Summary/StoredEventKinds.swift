import EventLog
import LogFormat
import TaskLogPlugin

extension LogReader {
  /// What `eventKinds` returns, as the log stores it; `nil` if it does not.
  func storedEventKinds(
    of run: RunInfo, _ excluded: [ExcludedEvents]
  ) throws -> [EventKind]? {
    try translating {
      guard try storedTaskCount(of: run) != nil else { return nil }
      let select = try connection.prepare(
        """
        SELECT source_kind, coalesce((SELECT text FROM text WHERE id = hook), ''), events, args_bytes,
          snapshot_bytes, redacted, truncated
        FROM event_total WHERE run = ? AND events > 0
        """)
      try select.bind(1, run.number)
      var kinds: [EventKind] = []
      while try select.step() {
        kinds.append(
          EventKind(
            source: Source.Kind(rawValue: select.text(0)) ?? .worker, hook: select.text(1),
            events: select.integer(2), argsBytes: select.integer(3),
            snapshotBytes: select.integer(4), redacted: select.integer(5),
            capped: select.integer(6)))
      }
      for left in excluded {
        let known = kinds.firstIndex {
          $0.source == left.source && $0.hook.sameBytes(as: left.hook)
        }
        if known == nil { kinds.append(EventKind(source: left.source, hook: left.hook)) }
        kinds[known ?? kinds.count - 1].excluded += left.events
      }
      return kinds.sorted {
        ($0.source.rawValue, $1.events, $0.hook) < ($1.source.rawValue, $0.events, $1.hook)
      }
    }
  }
}
