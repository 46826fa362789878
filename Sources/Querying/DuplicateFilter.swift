import BrokerMessages
import EventLog
import LogFormat

/// Which events of runs that are spread over several logs have come out of another of them.
///
/// Nothing is kept of what was given out: the other logs are asked whether they hold the event, and
/// whether that has had its turn.
struct DuplicateFilter {
  /// Who an event is, before what `EventStream` asks for the order.
  static let identity = ["run", "server_id", "source_seq"].compactMap { EventColumn($0) }

  private let parts: [EventStream.Part]
  private let finders: [EventFinder]
  private let isReversed: Bool
  /// The ids of each log's runs by their numbers, and those of which one of the logs has a part only.
  private var runs: [[Int64: String]]
  private var spread: Set<String> = []

  /// Nothing where there is no such run, and none can come: to find them costs each row something.
  static func of(_ parts: [EventStream.Part], isReversed: Bool) throws -> DuplicateFilter? {
    let copies = try DuplicateFilter(parts, isReversed: isReversed)
    return copies.mayRepeat || parts.contains { $0.filter.runs == nil } ? copies : nil
  }

  private init(_ parts: [EventStream.Part], isReversed: Bool) throws {
    self.parts = parts
    self.isReversed = isReversed
    finders = try parts.map { try EventFinder($0.reader) }
    runs = parts.map { _ in [:] }
    try findRuns()
  }

  /// Whether there is a run of which one of the logs has a part only.
  var mayRepeat: Bool { !spread.isEmpty }

  /// - Parameters:
  ///   - row: the columns of `identity`, and more.
  ///   - given: the number of the last event that each log has given out.
  mutating func isRepeated(
    _ row: ArraySlice<SQLiteValue>, of place: Int, _ given: [Int64]
  ) throws -> Bool {
    let start = row.startIndex
    guard case .integer(let number) = row[start], case .text(let server) = row[start + 1],
      case .integer(let sourceSeq) = row[start + 2], let run = try id(ofRun: number, place),
      spread.contains(run)
    else { return false }
    for other in parts.indices where other != place {
      guard
        let seq = try finders[other].seq(run: run, server: server, sourceSeq: sourceSeq),
        isReversed ? seq >= given[other] : seq <= given[other]
      else { continue }
      let filter = parts[other].filter
      if seq >= filter.sinceSeq ?? .min, seq <= filter.untilSeq ?? .max { return true }
    }
    return false
  }

  private mutating func id(ofRun number: Int64, _ place: Int) throws -> String? {
    if runs[place][number] == nil { try findRuns() }
    return runs[place][number]
  }

  private mutating func findRuns() throws {
    for place in parts.indices {
      for run in try parts[place].reader.runs() {
        runs[place][run.number] = run.id
        if run.isPartial { spread.insert(run.id) }
      }
    }
  }
}
