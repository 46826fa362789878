import EventLog
import LogFormat
import TaskLogPlugin

/// The clients whose requests events of the scheduler follow: graphs, and keys that they release.
///
/// A request may be about a million tasks, so each is looked up once.
final class ClientRequests {
  typealias Request = (client: String, seq: Int64)

  private struct Place: Hashable { var source, stimulus: Int64 }

  private let reader: LogReader
  private let run: RunInfo
  private var known: [Place: Request?] = [:]

  init(_ reader: LogReader, _ run: RunInfo) { (self.reader, self.run) = (reader, run) }

  /// - Returns: `nil` if the log does not have the request.
  /// - Throws: `LogError`.
  func request(before recorded: RecordedEvent, isGraph: Bool) throws -> Request? {
    let place = Place(source: recorded.source, stimulus: recorded.stimulusNumber)
    if let request = known[place] { return request }
    let request = try reader.translating {
      try isGraph && reader.storedTaskCount(of: run) != nil
        ? graph(before: recorded) : first(before: recorded)
    }
    known[place] = .some(request)
    return request
  }

  private static let client =
    "CASE WHEN json_valid(event.args) THEN json_extract(event.args, '$.client') END"

  private func graph(before recorded: RecordedEvent) throws -> Request? {
    let select = try reader.connection.prepare(
      """
      SELECT event.seq, \(Self.client) FROM hook_event JOIN event ON event.seq = hook_event.seq
      WHERE hook_event.hook = ? AND hook_event.seq < ? AND event.source = ? AND event.stimulus = ?
      ORDER BY hook_event.seq DESC LIMIT 1
      """)
    try select.bind(1, try reader.number(ofText: Hook.updateGraph.name) ?? 0)
    try select.bind(2, recorded.seq)
    try select.bind(3, recorded.source)
    try select.bind(4, recorded.stimulusNumber)
    guard try select.step() else { return nil }
    return select.optionalText(1).map { ($0, select.integer(0)) }
  }

  /// The request at the beginning of the events of a stimulus, which follow each other.
  private func first(before recorded: RecordedEvent) throws -> Request? {
    let select = try reader.connection.prepare(
      """
      SELECT seq, hook, stimulus, CASE WHEN hook IN (?, ?) THEN \(Self.client) END
      FROM event WHERE source = ? AND source_seq < ? ORDER BY source_seq DESC
      """)
    let release = try reader.number(ofText: Hook.clientReleasesKeys.name) ?? 0
    try select.bind(1, release)
    try select.bind(2, try reader.number(ofText: Hook.updateGraph.name) ?? 0)
    try select.bind(3, recorded.source)
    try select.bind(4, recorded.sourceSeq)
    while try select.step() {
      let stimulus = select.optionalInteger(2)
      let isOfStimulus = stimulus == recorded.stimulusNumber
      // Dask does not say the stimulus of a request that releases keys.
      if isOfStimulus || stimulus == nil && select.integer(1) == release,
        let client = select.optionalText(3)
      {
        return (client, select.integer(0))
      }
      guard isOfStimulus else { return nil }
    }
    return nil
  }
}
