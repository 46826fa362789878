import EventLog
import LogFormat

extension Reports {
  /// How the recorder of a run is doing.
  package struct RecorderState {
    package var path: String
    package var run: RunInfo
    package var missing: Int64
    /// What the recorder told last; `nil` if it is gone, or is on another machine.
    package var status: RecorderStatus?

    package init(path: String, run: RunInfo, missing: Int64, status: RecorderStatus?) {
      (self.path, self.run, self.missing, self.status) = (path, run, missing, status)
    }
  }

  package static func recorders(_ states: [RecorderState]) -> Report {
    func seconds(_ value: Int64?) -> SQLiteValue {
      value.map { .real(Double($0) / 1e9) } ?? .null
    }
    func text(_ value: String?) -> SQLiteValue { value.map { .text($0) } ?? .null }
    return Report([
      Report.Table(
        "recorders", title: "Recorders",
        columns: [
          Column("log", leastWidth: 12), Column("run"), Column("id", rank: 8, leastWidth: 36),
          Column("end", .state), Column("as_of", .date, rank: 3), Column("missing"),
          Column("lag", .seconds), Column("committed", .date, rank: 5),
          Column("spool_bytes", .bytes), Column("spool_limit", .bytes, rank: 4),
          Column("destination", rank: 2, leastWidth: 12), Column("delivered", .date, rank: 1),
          Column("copies", rank: 7), Column("delivery_failures", rank: 6),
          Column("delivery_failing_since", .date, rank: 9),
          Column("delivery_error", leastWidth: 12),
        ],
        rows: states.map { state in
          let status = state.status
          let mark = state.run.metadata[RunMetadataKey.delivery]
          return [
            .text(state.path), .integer(state.run.number), .text(state.run.id),
            .text(state.run.apparentEnd.rawValue), time(state.run.asOf), .integer(state.missing),
            seconds(status?.lag), time(status?.committed),
            status.map { .integer($0.spoolBytes) } ?? .null,
            status.map { .integer($0.spoolLimit) } ?? .null,
            text(status?.destination ?? mark?["destination"]?.string),
            time(status?.delivered ?? mark?["delivered"]?.int),
            status.map { .integer($0.copies) } ?? .null,
            (status?.failures ?? mark?["failures"]?.int).map { .integer($0) } ?? .null,
            time(status == nil ? mark?["failing_since"]?.int : status?.failingSince),
            text(status == nil ? mark?["error"]?.string : status?.deliveryError),
          ]
        })
    ]).onTerminal(none: "no runs")
  }
}
