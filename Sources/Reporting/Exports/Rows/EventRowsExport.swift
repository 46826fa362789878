import EventLog
import LogAnalysis
import Querying
import TaskLogPlugin

/// Writes all fields of each event of a run, in the order of arrival.
///
/// Repeated parts (sources, keys with their prefix and group, the second of a time) are cached in
/// their written form, so that most of a row is copied.
struct EventRowsExport {
  private let reader: LogReader
  private let run: RunInfo
  private let sources: [Int64: Source]
  private let clocks: ClockOffsets
  private let lives: WorkerLives
  private let scope: RunScope?
  private var row: RowText
  /// The written fields of each source and key.
  private var sourceTexts: [Int64: [UInt8]] = [:]
  private var keyTexts: [Int64: [UInt8]] = [:]
  private var beginning: [UInt8] = []

  /// The maximum number of cached keys: mostly the tasks in progress at a time.
  private static let keyLimit = 1 << 15

  /// - Parameters:
  ///   - log: the name of the log, if there are several.
  ///   - scope: the events to write; `nil` for all.
  init(
    _ reader: LogReader, _ run: RunInfo, log: String?, asCSV: Bool, _ scope: RunScope?
  ) throws {
    self.scope = scope
    self.reader = reader
    self.run = run
    sources = Dictionary(
      try reader.sources(of: run).map { ($0.number, $0.source) }
    ) { first, _ in first }
    clocks = try reader.clockOffsets(of: run)
    lives = try reader.workerLives(of: run)
    row = RowText(asCSV: asCSV)
    if let log { row.text("log", log) }
    row.number("run", run.number)
    row.text("run_id", run.id)
    beginning = row.take()
  }

  /// The first line of CSV.
  ///
  /// - Parameter withLog: whether there are several logs.
  static func header(withLog: Bool) -> String {
    (withLog ? "log," : "")
      + "run,run_id,seq,time,time_ns,source,server_id,source_seq,hook,key,key_typed,prefix,"
      + "key_group,start,finish,stimulus,worker,task_run,args,snapshot,"
      + "raw_time_ns,life\r\n"
  }

  mutating func write(
    to sink: ByteSink, _ tally: inout ExportTally, _ progress: (Int64) -> Void
  ) throws {
    let cursor = try reader.events(of: run, order: .arrival)
    var count: Int64 = 0
    var written = 0
    while let recorded = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + count) }
      let time = clocks.time(of: recorded)
      guard scope?.includes(recorded, time: time) ?? true else { continue }
      written += 1
      write(recorded, time)
      sink.bytes += row.bytes
      row.bytes.removeAll(keepingCapacity: true)
      try sink.flushIfLarge()
    }
    tally.events += count
    tally.written.rows += written
    tally.damaged += cursor.damagedCount
  }

  private mutating func write(_ recorded: RecordedEvent, _ time: Int64) {
    let event = recorded.event
    row.bytes += beginning
    row.number("seq", recorded.seq)
    row.time("time", time)
    row.number("time_ns", time)
    writeSource(recorded.source)
    row.number("source_seq", recorded.sourceSeq)
    row.text("hook", event.hook.name)
    writeKey(event.key, recorded.keyNumber)
    row.text("start", event.start?.name)
    row.text("finish", event.finish?.name)
    row.text("stimulus", event.stimulusID)
    // A worker's events are about itself.
    let ownAddress = sources[recorded.source].flatMap { $0.kind == .worker ? $0.address : nil }
    row.text("worker", ownAddress ?? event.worker)
    row.number("task_run", event.taskRunID)
    row.json("args", event.args.isAbsent ? nil : event.args.json)
    switch event.snapshot {
    case .none: row.json("snapshot", nil)
    case .encoded(let json): row.json("snapshot", json.text)
    case let other: row.json("snapshot", other.value.map { JSONWriter.text($0) })
    }
    row.number("raw_time_ns", event.time)
    row.number(
      "life",
      ownAddress == nil
        ? event.worker.map { lives.number($0, at: recorded.seq) }
        : lives.number(ofSource: recorded.source))
    row.end()
  }

  private mutating func writeSource(_ sourceID: Int64) {
    if let text = sourceTexts[sourceID] {
      row.bytes += text
      return
    }
    let start = row.bytes.count
    row.text("source", sources[sourceID]?.kind.rawValue)
    row.text("server_id", sources[sourceID]?.id)
    sourceTexts[sourceID] = Array(row.bytes[start...])
  }

  private mutating func writeKey(_ key: Key?, _ keyID: Int64) {
    if let text = keyTexts[keyID] {
      row.bytes += text
      return
    }
    if keyTexts.count >= Self.keyLimit { keyTexts.removeAll(keepingCapacity: true) }
    let start = row.bytes.count
    row.text("key", key?.text)
    row.text("key_typed", key.flatMap { $0.typed.isEmpty ? nil : $0.typed })
    row.text("prefix", key?.prefix)
    row.text("key_group", key?.group)
    keyTexts[keyID] = Array(row.bytes[start...])
  }
}
