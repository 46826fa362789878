import BrokerMessages
import EventLog
import LogFormat

/// Detects events that another log has already emitted, for runs that are spread over several logs.
///
/// Emitted events are not stored: the other logs are searched for the event, and whether they have
/// emitted it is derived from their position.
struct DuplicateFilter {
  /// The columns that identify an event; they precede those that `EventStream` needs for the order.
  static let identity = ["run", "server_id", "source_seq"].compactMap { EventColumn($0) }

  private let parts: [EventStream.Part]
  private let finders: [EventFinder]
  private let isReversed: Bool
  /// The IDs of each log's runs by row ID, and the IDs of partial runs in any of the logs.
  private var runs: [[Int64: String]]
  private var spread: Set<String> = []

  /// `nil` if there is no such run and none can appear, since the search has a cost per row.
  static func of(_ parts: [EventStream.Part], isReversed: Bool) throws -> DuplicateFilter? {
    let duplicates = try DuplicateFilter(parts, isReversed: isReversed)
    return duplicates.mayRepeat || parts.contains { $0.filter.runs == nil } ? duplicates : nil
  }

  private init(_ parts: [EventStream.Part], isReversed: Bool) throws {
    self.parts = parts
    self.isReversed = isReversed
    finders = try parts.map { try EventFinder($0.reader) }
    runs = parts.map { _ in [:] }
    try findRuns()
  }

  /// Whether any log contains only a part of a run.
  var mayRepeat: Bool { !spread.isEmpty }

  /// - Parameters:
  ///   - row: the columns of `identity`, and more.
  ///   - emitted: the seq of the last event that each log has emitted.
  mutating func isRepeated(
    _ row: ArraySlice<SQLiteValue>, of logIndex: Int, _ emitted: [Int64]
  ) throws -> Bool {
    let start = row.startIndex
    guard case .integer(let rowID) = row[start], case .text(let server) = row[start + 1],
      case .integer(let sourceSeq) = row[start + 2], let run = try id(ofRun: rowID, logIndex),
      spread.contains(run)
    else { return false }
    for other in parts.indices where other != logIndex {
      guard
        let seq = try finders[other].seq(run: run, server: server, sourceSeq: sourceSeq),
        isReversed ? seq >= emitted[other] : seq <= emitted[other]
      else { continue }
      let filter = parts[other].filter
      if seq >= filter.sinceSeq ?? .min, seq <= filter.untilSeq ?? .max { return true }
    }
    return false
  }

  private mutating func id(ofRun rowID: Int64, _ logIndex: Int) throws -> String? {
    if runs[logIndex][rowID] == nil { try findRuns() }
    return runs[logIndex][rowID]
  }

  private mutating func findRuns() throws {
    for logIndex in parts.indices {
      for run in try parts[logIndex].reader.runs() {
        runs[logIndex][run.number] = run.id
        if run.isPartial { spread.insert(run.id) }
      }
    }
  }
}
