import EventLog
import Querying
import TaskLogPlugin

/// A fact about an event, as a column.
enum ExportColumn: String, CaseIterable {
  case log, run
  case runID = "run_id"
  case seq, time
  case timeNanoseconds = "time_ns"
  case source
  case serverID = "server_id"
  case sourceSeq = "source_seq"
  case hook, key
  case keyTyped = "key_typed"
  case prefix
  case group = "key_group"
  case start, finish, stimulus, worker
  case taskRun = "task_run"
  case args, snapshot

  /// - Parameter withLog: there are several logs.
  static func all(withLog: Bool) -> [ExportColumn] {
    allCases.filter { $0 != .log || withLog }
  }
}

/// Writes each event of a run in the order of arrival, with all its facts.
struct EventRowsExport {
  private let part: Export.Part
  private let run: RunInfo
  private let columns: [ExportColumn]
  private let asCSV: Bool
  private let sources: [Int64: Source]

  init(part: Export.Part, run: RunInfo, columns: [ExportColumn], asCSV: Bool) throws {
    self.part = part
    self.run = run
    self.columns = columns
    self.asCSV = asCSV
    sources = Dictionary(
      try part.reader.sources(of: run).map { ($0.number, $0.source) }
    ) { first, _ in first }
  }

  static func header(_ columns: [ExportColumn], _ sink: ByteSink) {
    sink.write(columns.map(\.rawValue).joined(separator: ",") + "\r\n")
  }

  func write(
    _ sink: ByteSink, _ tally: inout ExportTally, _ progress: (Int64) -> Void
  ) throws {
    let cursor = try part.reader.events(of: run, order: .arrival)
    var count: Int64 = 0
    while let recorded = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + count) }
      if asCSV { writeCSV(recorded, sink) } else { writeJSON(recorded, sink) }
      try sink.flushIfLarge()
    }
    tally.events += count
    tally.written.rows += Int(count)
    tally.damaged += cursor.damagedCount
  }

  private enum Fact {
    case none
    case number(Int64)
    case text(String)
    case json(String)
  }

  private func fact(_ column: ExportColumn, _ recorded: RecordedEvent) -> Fact {
    func text(_ text: String?) -> Fact { text.map(Fact.text) ?? .none }
    let event = recorded.event
    switch column {
    case .log: return .text(part.name)
    case .run: return .number(run.number)
    case .runID: return .text(run.id)
    case .seq: return .number(recorded.seq)
    case .time: return .text(Timestamp.iso(event.time))
    case .timeNanoseconds: return .number(event.time)
    case .source: return text(sources[recorded.source]?.kind.rawValue)
    case .serverID: return text(sources[recorded.source]?.id)
    case .sourceSeq: return .number(recorded.sourceSeq)
    case .hook: return .text(event.hook.name)
    case .key: return text(event.key?.text)
    case .keyTyped: return text(event.key.flatMap { $0.typed.isEmpty ? nil : $0.typed })
    case .prefix: return text(event.key?.prefix)
    case .group: return text(event.key?.group)
    case .start: return text(event.start?.name)
    case .finish: return text(event.finish?.name)
    case .stimulus: return text(event.stimulusID)
    case .worker:
      // What a worker saw is about itself.
      if let source = sources[recorded.source], source.kind == .worker {
        return .text(source.address)
      }
      return text(event.worker)
    case .taskRun: return event.taskRunID.map(Fact.number) ?? .none
    case .args: return recorded.hasArgs ? .json(event.args.json) : .none
    case .snapshot:
      switch event.snapshot {
      case .none: return .none
      case .encoded(let json): return .json(json.text)
      case let other: return other.value.map { .json(JSONWriter.text($0)) } ?? .none
      }
    }
  }

  // MARK: - JSON

  private func writeJSON(_ recorded: RecordedEvent, _ sink: ByteSink) {
    var isFirst = true
    for column in columns {
      sink.write(isFirst ? "{\"" : ",\"")
      isFirst = false
      sink.write(column.rawValue)
      sink.write("\":")
      switch fact(column, recorded) {
      case .none: sink.write("null")
      case .number(let number): sink.bytes.json(number)
      case .text(let text): sink.bytes.json(text)
      case .json(let text): sink.bytes.json(recorded: text)
      }
    }
    sink.write("}\n")
  }

  // MARK: - CSV

  private func writeCSV(_ recorded: RecordedEvent, _ sink: ByteSink) {
    for (index, column) in columns.enumerated() {
      if index > 0 { sink.bytes.append(0x2C) }
      switch fact(column, recorded) {
      case .none: break
      case .number(let number): sink.bytes.json(number)
      case .text(let text), .json(let text): Self.write(field: text, sink)
      }
    }
    sink.write("\r\n")
  }

  /// As RFC 4180 has it, and what could steer a terminal is escaped as `query` does it.
  private static func write(field text: String, _ sink: ByteSink) {
    var text = text
    let needs = text.withUTF8 { bytes in
      var (needsQuotes, needsEscapes) = (false, false)
      for byte in bytes {
        if byte == 0x22 || byte == 0x2C || byte == 0x0A || byte == 0x0D { needsQuotes = true }
        if byte < 0x20 || byte >= 0x7F { needsEscapes = true }
      }
      return (quotes: needsQuotes, escapes: needsEscapes)
    }
    if needs.escapes { text = Printable.text(text, keeping: ["\n", "\r", "\t"]) }
    guard needs.quotes else { return sink.write(text) }
    sink.bytes.append(0x22)
    text.withUTF8 { bytes in
      var start = 0
      for place in bytes.indices where bytes[place] == 0x22 {
        sink.bytes.append(contentsOf: bytes[start...place])
        start = place
      }
      sink.bytes.append(contentsOf: bytes[start...])
    }
    sink.bytes.append(0x22)
  }
}

extension RecordedEvent {
  /// Whether args stand in the log.
  fileprivate var hasArgs: Bool { !event.args.isAbsent }
}

extension [UInt8] {
  /// JSON as it stands in a log: on one line, and without what could steer a terminal. What is
  /// damaged becomes a string.
  mutating func json(recorded text: String) {
    var text = text
    let isPlain = text.withUTF8 { bytes -> Bool in
      guard JSONScanner.isOneLine(bytes), bytes.allSatisfy({ $0 < 0x7F }) else { return false }
      append(contentsOf: bytes)
      return true
    }
    if isPlain { return }
    let isJSON = text.withUTF8 { bytes in
      var scanner = JSONScanner(bytes)
      return scanner.skip() && scanner.peek() == 0
    }
    guard isJSON else { return json(text) }
    for scalar in text.unicodeScalars { json(unquoted: scalar) }
  }
}
