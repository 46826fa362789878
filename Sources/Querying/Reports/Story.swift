import EventLog
import LogFormat
import TaskLogPlugin

extension Reports {
  /// All events about a key or a stimulus, from the scheduler and workers, in causal order, with
  /// the seconds since the previous event. Keys of different types with the same text have one
  /// table each.
  ///
  /// - Returns: `nil` if no run contains it.
  /// - Throws: `LogError`.
  package static func story(
    _ reader: LogReader, _ runs: [RunInfo], of name: String
  ) throws -> Report? {
    let subjects = try reader.subjects(named: name)
    var rows: [[[SQLiteValue]]] = subjects.map { _ in [] }
    var failed: Int64?
    for run in runs {
      let sources = Dictionary(
        try reader.sources(of: run).map { ($0.number, $0.source) }, uniquingKeysWith: { $1 })
      let (clocks, lives) = (try reader.clockOffsets(of: run), try reader.workerLives(of: run))
      for (index, subject) in subjects.enumerated() {
        var before: Int64?
        for recorded in try reader.story(of: subject, in: run) {
          let (event, source) = (recorded.event, sources[recorded.source])
          let at = clocks.time(of: recorded)
          let life =
            source?.kind == .worker
            ? lives.number(ofSource: recorded.source)
            : event.worker.map { lives.number($0, at: recorded.seq) }
          rows[index].append([
            .integer(run.number), .integer(recorded.seq), time(at),
            before.map { seconds(at - $0) } ?? .null, text(source?.kind.rawValue),
            text(source?.kind == .worker ? source?.address : event.worker),
            .text(event.hook.name), text(event.key?.text), text(event.start?.name),
            text(event.finish?.name), text(event.stimulusID),
            event.args.isEmpty ? .null : .text(event.args.json), time(event.time),
            life.map(SQLiteValue.integer) ?? .null,
          ])
          before = at
          if event.finish == .erred, source?.kind == .scheduler { failed = recorded.seq }
        }
      }
    }
    let failure = try exceptionText(reader, at: failed)
    let stories = zip(subjects, rows).filter { !$1.isEmpty }
    if stories.count == 1 {
      return Report([
        Report.Table("story", title: name, columns: storyColumns, rows: stories[0].1)
          .onTerminal(note: { _ in failure })
      ])
    }
    guard !stories.isEmpty else { return nil }
    return Report(
      try stories.map { subject, rows in
        let (type, title) = try typed(subject, reader) ?? ("story", name)
        return Report.Table(type, title: title, columns: storyColumns, rows: rows)
      })
  }

  /// What a terminal shows of the last failure that the scheduler recorded.
  private static func exceptionText(_ reader: LogReader, at seq: Int64?) throws -> String? {
    guard let seq else { return nil }
    let text = try reader.translating {
      let select = try reader.connection.prepare(
        "SELECT exception FROM failure_texts WHERE seq = ?")
      try select.bind(1, seq)
      return try select.step() ? select.optionalText(0) : nil
    }
    return text.map {
      "failed with \(Printable.text(ExceptionText.forPeople($0))); 'tasklog errors' has the traceback"
    }
  }

  /// The type of a key, and a title that identifies it unambiguously.
  private static func typed(
    _ subject: LogReader.Subject, _ reader: LogReader
  ) throws -> (type: String, title: String)? {
    guard case .key(let rowID) = subject, let key = try reader.key(rowID) else { return nil }
    let type =
      switch key.value {
      case .string, .wtf8: "text"
      case .tuple: "tuple"
      default: "number"
      }
    return (type, "\(key.text), a \(type): \(KeyPattern.exactName(of: key))")
  }

  private static let storyColumns: [Column] = [
    run, Column("seq", rank: 6), Column("time", .time), Column("elapsed", .seconds, rank: 1),
    Column("source", rank: 2, leastWidth: 9), Column("worker", .address, rank: 3),
    Column("hook", rank: 5), Column("key", rank: 4, leastWidth: 12), Column("start", .state),
    Column("finish", .state), Column("stimulus", rank: 7, leastWidth: 12),
    Column("args", .json, rank: 8, leastWidth: 16), Column("raw_time", .time, rank: 10),
    Column("life", rank: 9),
  ]
}
