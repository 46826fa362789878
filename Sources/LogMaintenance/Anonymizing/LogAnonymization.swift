import EventLog
import LogFormat
import TaskLogPlugin

/// Writes a copy of runs that can be given to strangers.
///
/// The copy is a new log: it has the events, times, sizes and the structure of the original, with
/// pseudonyms for all names, and nothing of its bytes.
package final class LogAnonymization {
  package struct Result: Sendable {
    package var runs = 0
    package var events: Int64 = 0
    package var keys = 0
    package var names = 0
    package var exceptions = 0
    package var removed = AnonymousRemovals()
  }

  /// A run, and the log that has it.
  package typealias Part = (run: RunInfo, reader: LogReader)

  private static let eventsPerBatch = 4096

  private let parts: [Part]
  private let pseudonyms: Pseudonyms
  private let values: ValueAnonymizer
  private let show: (Int64) -> Void
  private var result = Result()
  private var seen: Int64 = 0

  private init(
    _ parts: [Part], _ pseudonyms: Pseudonyms, _ show: @escaping (Int64) -> Void
  ) {
    self.parts = parts
    self.pseudonyms = pseudonyms
    self.show = show
    values = ValueAnonymizer(pseudonyms)
  }

  /// Copies runs to `path`, which must not exist. Events keep their numbers, as far as the numbers of
  /// several runs do not overlap.
  ///
  /// - Parameters:
  ///   - kept: the kinds of names that stay.
  ///   - pseudonyms: given by tests, which compare with them.
  ///   - show: called with the number of events read so far; each is read twice.
  /// - Throws: `LogError`; no new file remains then.
  package static func copy(
    _ parts: [Part], to path: String, keeping kept: Set<KeptName> = [],
    pseudonyms: Pseudonyms? = nil, show: @escaping (Int64) -> Void = { _ in }
  ) throws -> Result {
    try UnfinishedLog.write(to: path) { unfinished in
      let copy = LogAnonymization(parts, pseudonyms ?? Pseudonyms(keeping: kept), show)
      try copy.collectKeys()
      return try copy.write(to: unfinished)
    }
  }

  // MARK: - Keys

  /// Reads the same events as `copy`: those up to the last one of `run`.
  private func collectKeys() throws {
    for (run, reader) in parts {
      _ = values.anonymous(run.metadata, .fields)
      let cursor = try reader.events(of: run, order: .arrival)
      while let recorded = try cursor.nextEvent() {
        if let key = recorded.event.key { pseudonyms.keys.collect(key) }
        _ = contents(of: recorded.event, reader)
        advance()
      }
    }
    pseudonyms.keys.prepare()
    values.isCollecting = false
    values.removed = AnonymousRemovals()
  }

  private func advance() {
    seen += 1
    if seen % Int64(Self.eventsPerBatch) == 0 { show(seen) }
  }

  // MARK: - Events

  private func contents(
    of event: Event, _ reader: LogReader
  ) -> (args: Args, snapshot: Snapshot) {
    var args = Args.none
    if !event.args.isAbsent {
      // The numbers of shared values are kept.
      let content = value(event.args.json, reader).map { Args(recorded: $0).content }
      args = values.args(content ?? Self.unreadable, of: event.hook)
    }
    guard case .encoded(let json) = event.snapshot else { return (args, .none) }
    let snapshot = value(json.text, reader) ?? .opaque("unreadable")
    return (args, .other(values.anonymous(snapshot, .fields)))
  }

  private static let unreadable = Args(recorded: .null).content

  private func value(_ json: String, _ reader: LogReader) -> Value? {
    try? JSONReader.value(json, blob: { reader.blob(hash: $0) }, opensShared: false)
  }

  private func write(to path: String) throws -> Result {
    let writer = try LogWriter(path: path)
    defer { writer.close() }
    for (run, reader) in parts { try copy(run, reader, to: writer) }
    result.runs = parts.count
    result.keys = pseudonyms.keys.count
    result.names = pseudonyms.nameCount + pseudonyms.hostCount
    result.exceptions = pseudonyms.exceptionCount
    result.removed = values.removed
    return result
  }

  private func copy(_ run: RunInfo, _ reader: LogReader, to writer: LogWriter) throws {
    let sources = try reader.sources(of: run)
    let (number, numbers) = try writer.transaction {
      let number = try writer.add(header(of: run))
      var numbers: [Int64: Int64] = [:]
      for source in sources {
        let own = try writer.add(anonymous(source.source), run: number)
        numbers[source.number] = own
        try copyGaps(of: source, own, reader, to: writer)
      }
      return (number, numbers)
    }
    let cursor = try reader.events(of: run, order: .arrival)
    var isAtEnd = false
    while !isAtEnd {
      try writer.transaction {
        for _ in 0..<Self.eventsPerBatch {
          guard let recorded = try cursor.nextEvent() else {
            isAtEnd = true
            break
          }
          guard let source = numbers[recorded.source] else { continue }
          writer.reserveSeq(from: recorded.seq)
          try writer.append(
            anonymous(recorded.event, reader), source: source, sourceSeq: recorded.sourceSeq)
          result.events += 1
          advance()
        }
      }
    }
    try writer.transaction {
      // Of a run that is still recorded, these may have more events by now.
      for (source, last) in try run.end == .running ? [] : reader.completeSources(of: run) {
        if let own = numbers[source] { try writer.markComplete(source: own, through: last) }
      }
      if run.isUnordered { try writer.markUnordered(run: number) }
      if run.isEndInLog, run.end != .running {
        try writer.end(run: number, run.end, at: run.ended ?? run.started)
      }
    }
  }

  private func anonymous(_ event: Event, _ reader: LogReader) -> Event {
    var copy = event
    (copy.args, copy.snapshot) = contents(of: event, reader)
    copy.key = event.key.map { pseudonyms.keys.pseudonym(of: $0) }
    copy.stimulusID = event.stimulusID.map { pseudonyms.stimulus($0) }
    copy.worker = event.worker.map { pseudonyms.name($0) }
    if case .other(let name) = event.hook { copy.hook = .other(pseudonyms.name(name)) }
    if case .other(let name)? = event.start { copy.start = .other(pseudonyms.name(name)) }
    if case .other(let name)? = event.finish { copy.finish = .other(pseudonyms.name(name)) }
    return copy
  }

  // MARK: - Runs

  private func header(of run: RunInfo) -> RunHeader {
    func version(_ text: String) -> String { VersionText.known(text) ?? pseudonyms.name(text) }
    let engines = ["dask", "tasklog", "simulated"]
    return RunHeader(
      id: pseudonyms.runID(run.id),
      engine: engines.contains(run.engine) ? run.engine : pseudonyms.name(run.engine),
      engineVersion: version(run.engineVersion), recorderVersion: version(run.recorderVersion),
      mode: ["full", "hooks"].contains(run.mode) ? run.mode : pseudonyms.name(run.mode),
      started: run.started, metadata: metadata(of: run))
  }

  private func metadata(of run: RunInfo) -> Value {
    guard case .dict(let entries) = removingCommandLine(run.metadata) else { return .dict([]) }
    var kept = entries.filter { !AnonymousFields.localMetadata.contains($0.key.string ?? "") }
    if run.end == .running {
      // There is no recorder's lock next to the copy.
      kept.append(.init(.string(RunMetadataKey.copied), .int(Clock.now())))
    }
    return values.anonymous(.dict(kept), .fields)
  }

  private func removingCommandLine(_ metadata: Value) -> Value {
    guard case .dict(let entries) = metadata else { return metadata }
    return .dict(
      entries.compactMap { entry in
        if entry.key.string == AnonymousFields.commandLine {
          values.removed.commandLines += entry.value == .null ? 0 : 1
          return nil
        }
        guard entry.key.string == RunMetadataKey.caller else { return entry }
        return .init(entry.key, removingCommandLine(entry.value))
      })
  }

  private func anonymous(_ source: Source) -> Source {
    Source(
      kind: source.kind, id: pseudonyms.name(source.id), address: pseudonyms.name(source.address),
      name: values.anonymous(source.name, .name))
  }

  private func copyGaps(
    of source: SourceInfo, _ own: Int64, _ reader: LogReader, to writer: LogWriter
  ) throws {
    let select = try reader.connection.prepare(
      "SELECT source_seq, count, time, reason FROM gap WHERE source = ? ORDER BY id")
    try select.bind(1, source.number)
    while try select.step() {
      try writer.addGap(
        source: own, sourceSeq: select.integer(0), count: select.integer(1),
        time: select.integer(2), reason: reason(select.text(3)))
    }
  }

  /// The reason of a gap: what tasklog distinguishes stays, names of files and errors do not.
  private func reason(_ text: String) -> String {
    if GapReason.isPruned(text) { return GapReason.pruned }
    if RunFiles.isEarlier(text) {
      return RunFiles.gapReason(pseudonyms.name(RunFiles.name(inReason: text)))
    }
    return text == PartialRun.gapReason ? text : pseudonyms.name(text)
  }
}
