import EventLog
import TaskLogPlugin

/// Writes events as lines of JSON, the format for external programs.
///
/// A line has every field, `null` if an event has none, in this order: `seq`, `run`, `source`
/// (`scheduler` or `worker`), `server_id`, `source_seq`, `time_ns`, `hook`, `key`, `key_typed`,
/// `start`, `finish`, `stimulus`, `worker`, `task_run`, `args`, `snapshot`. The names are those of
/// the columns of the view `events`; `worker` is the address of the worker that observed the event,
/// else of the one that it is about. `args` and `snapshot` are the log's lossless JSON.
struct EventLine {
  /// The lines so far, in UTF-8.
  private(set) var output: [UInt8] = []
  /// The number of args and snapshots that are invalid JSON; they are written as
  /// `{"$opaque":"unreadable"}`.
  private(set) var unreadableCount = 0
  private var writer = JSONWriter()
  private var beginnings: [Int64: [UInt8]] = [:]
  private var workers: [Int64: [UInt8]] = [:]

  mutating func removeAll() { output.removeAll(keepingCapacity: true) }

  /// Encodes the fields that all lines of a source share once.
  mutating func join(_ info: SourceInfo) {
    writer.removeAll()
    writer.raw(",\"run\":")
    writer.write(int: info.run)
    writer.raw(",\"source\":\"")
    writer.raw(info.source.kind == .scheduler ? "scheduler" : "worker")
    writer.raw("\",\"server_id\":")
    write(.string(info.source.id))
    beginnings[info.number] = writer.output
    guard info.source.kind == .worker else { return }
    writer.removeAll()
    write(.string(info.source.address))
    workers[info.number] = writer.output
  }

  mutating func append(_ recorded: RecordedEvent) {
    let event = recorded.event
    writer.removeAll()
    writer.raw("{\"seq\":")
    writer.write(int: recorded.seq)
    flush()
    output += beginnings[recorded.source] ?? []
    writer.raw(",\"source_seq\":")
    writer.write(int: recorded.sourceSeq)
    writer.raw(",\"time_ns\":")
    writer.write(int: event.time)
    field(",\"hook\":", event.hook.name)
    field(",\"key\":", event.key?.text)
    field(",\"key_typed\":", event.key?.typed)
    field(",\"start\":", event.start?.name)
    field(",\"finish\":", event.finish?.name)
    field(",\"stimulus\":", event.stimulusID)
    if let worker = workers[recorded.source] {
      writer.raw(",\"worker\":")
      flush()
      output += worker
    } else {
      field(",\"worker\":", event.worker)
    }
    writer.raw(",\"task_run\":")
    if let run = event.taskRunID { writer.write(int: run) } else { writer.raw("null") }
    writer.raw(",\"args\":")
    json(event.args.recorded)
    writer.raw(",\"snapshot\":")
    json(event.snapshot.recorded)
    writer.raw("}\n")
    flush()
  }

  private mutating func flush() {
    output += writer.output
    writer.removeAll()
  }

  private mutating func field(_ name: StaticString, _ text: String?) {
    writer.raw(name)
    if let text { write(.string(text)) } else { writer.raw("null") }
  }

  private mutating func write(_ value: Value) {
    // Nothing is interned, so nothing is thrown.
    try? writer.write(value)
  }

  /// Copies the log's JSON unchanged, except that it is put on one line and interned bytes are
  /// resolved.
  private mutating func json(_ json: EncodedJSON?) {
    guard let json else { return writer.raw("null") }
    guard let value = try? json.value() else {
      unreadableCount += 1
      return write(.opaque("unreadable"))
    }
    if json.text.contains("\n") || json.text.contains("\r") || json.text.contains("\"$blob\"")
      || json.text.contains("\"$shared\"")
    {
      write(value)
    } else {
      flush()
      output += json.text.utf8
    }
  }
}

extension Args {
  /// The args as recorded in the log, or `nil` if there are none.
  fileprivate var recorded: EncodedJSON? {
    switch storage {
    case .empty: nil
    case .encoded(let json): json
    default: EncodedJSON(json)
    }
  }
}

extension Snapshot {
  fileprivate var recorded: EncodedJSON? {
    switch self {
    case .none: nil
    case .encoded(let json): json
    default: value.map { EncodedJSON(JSONWriter.text($0)) }
    }
  }
}
