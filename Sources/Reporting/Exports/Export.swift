import EventLog
import LogAnalysis
import TaskLogPlugin

/// The formats of other tools in which runs can be exported.
package enum ExportFormat: String, Sendable, CaseIterable {
  /// Perfetto TrackEvents, as protocol buffers.
  case perfetto
  /// The JSON of Chrome's `about:tracing`.
  case chrome
  /// All fields of each event, one JSON object per line.
  case jsonl
  /// All fields of each event, as CSV.
  case csv
  /// OpenTelemetry spans as OTLP JSON, several per line.
  case otlpJSON = "otlp-json"
  /// The records of Dask's task stream, one JSON object per line.
  case dask
  /// The statistical profile of the workers, as JSON for https://www.speedscope.app.
  case speedscope
}

/// Exports runs in the format of another tool.
///
/// The log is read once, in short transactions, and the output is written in chunks. The same log
/// gives the same bytes. Memory grows with the number of tasks in progress at a time and, by a few
/// bytes each, with the number of keys; traces and spans need the dependencies of all tasks, too.
package struct Export {
  /// A log and its selected runs.
  package struct Part {
    package var name: String
    package var reader: LogReader
    package var runs: [RunInfo]
    /// The parts of the runs to export.
    package var scopes: RunScopes

    package init(
      name: String, reader: LogReader, runs: [RunInfo], scopes: RunScopes = RunScopes()
    ) {
      self.scopes = scopes
      self.name = name
      self.reader = reader
      self.runs = runs
    }
  }

  /// The number of keys that a reader should keep for an export: those of the tasks in progress.
  package static let keptKeys = 1 << 18

  package var format: ExportFormat
  package var parts: [Part]
  /// With `dask`: writes the rectangles drawn from the records, instead of the records.
  package var asRectangles = false
  /// The version of tasklog that a file names as its exporter.
  package var version = ""

  package init(_ format: ExportFormat, _ parts: [Part]) {
    self.format = format
    self.parts = parts
  }

  /// - Parameters:
  ///   - output: receives the output in chunks.
  ///   - progress: receives the number of events read so far.
  /// - Throws: `LogError`, and errors of the output.
  package func write(
    to output: @escaping ([UInt8]) throws -> Void, progress: (Int64) -> Void = { _ in }
  ) throws -> ExportTally {
    var tally = ExportTally()
    let sink = ByteSink(output)
    switch format {
    case .perfetto:
      var writer = PerfettoWriter(sink, time: start)
      try draw(&writer, &tally, progress)
      try writer.finish()
    case .chrome:
      var writer = ChromeWriter(sink, base: start - 86_400_000_000_000)
      try draw(&writer, &tally, progress)
      try writer.finish()
    case .jsonl, .csv:
      if format == .csv { sink.write(EventRowsExport.header(withLog: parts.count > 1)) }
      for (part, run) in runs {
        var rows = try EventRowsExport(
          part.reader, run, log: parts.count > 1 ? part.name : nil, asCSV: format == .csv,
          part.scopes[run])
        try rows.write(to: sink, &tally, progress)
      }
      try sink.flush()
    case .otlpJSON:
      for (part, run) in runs {
        var spans = try SpanExport(part.reader, run, sink, part.scopes[run])
        try spans.write(&tally, progress)
      }
      try sink.flush()
    case .dask:
      var stream = TaskStreamExport(sink, asRectangles: asRectangles)
      for (part, run) in runs {
        try stream.write(part.reader, run, part.scopes[run], &tally, progress)
      }
      try sink.flush()
    case .speedscope:
      var speedscope = SpeedscopeExport(sink)
      for (part, run) in runs {
        let name = parts.count > 1 ? "\(part.name) #\(run.number) " : "#\(run.number) "
        try speedscope.add(
          part.reader, run, part.scopes[run], name: runs.count > 1 ? name : "", &tally)
      }
      try speedscope.finish(version: version, &tally)
    }
    for (part, run) in runs {
      tally.missing += try part.reader.missing(of: run)
      if run.end != .closed { tally.unclosed.append((part.name, run)) }
    }
    return tally
  }

  private var runs: [(Part, RunInfo)] { parts.flatMap { part in part.runs.map { (part, $0) } } }

  private var start: Int64 { runs.map(\.1.started).min() ?? 0 }

  private func draw<Writer: TraceWriter>(
    _ writer: inout Writer, _ tally: inout ExportTally, _ progress: (Int64) -> Void
  ) throws {
    var last: Int32 = 0
    for (part, run) in runs {
      let name = parts.count > 1 ? "\(part.name) #\(run.number) " : "#\(run.number) "
      var builder = TraceBuilder(
        writer, walk: try RunWalk(part.reader, run, part.scopes[run]),
        dependencies: try part.reader.dependencies(of: run), name: runs.count > 1 ? name : "",
        after: last)
      try builder.draw(&tally, progress: progress)
      (writer, last) = (builder.writer, builder.processes.last)
    }
  }
}

/// The counts of an export.
package struct ExportTally {
  /// Events that were read.
  package internal(set) var events: Int64 = 0
  package internal(set) var written = TraceCounts()
  /// Events known to be missing from the log.
  package internal(set) var missing: Int64 = 0
  /// Events with references to rows that are not in the file.
  package internal(set) var damaged = 0
  /// Events that came before their causes.
  package internal(set) var outOfOrder = 0
  /// Ends of tasks that the format cannot represent.
  package internal(set) var skipped = 0
  /// The reason why they were skipped.
  package internal(set) var skippedBecause = ""
  /// Runs without a profile, of which one was requested.
  package internal(set) var withoutProfile: [RunInfo] = []
  /// What is missing for another reason, in sentences.
  package internal(set) var notes: [String] = []
  /// Runs that died or are still running.
  package internal(set) var unclosed: [(log: String, run: RunInfo)] = []
}

/// The counts of written objects by kind.
package struct TraceCounts {
  package internal(set) var slices = 0
  package internal(set) var openSlices = 0
  package internal(set) var failedSlices = 0
  package internal(set) var flows = 0
  package internal(set) var failures = 0
  package internal(set) var gaps = 0
  package internal(set) var graphs = 0
  package internal(set) var lives = 0
  package internal(set) var spans = 0
  package internal(set) var links = 0
  package internal(set) var rows = 0
  package internal(set) var profiles = 0

  mutating func add(_ other: TraceCounts) {
    for field: WritableKeyPath<TraceCounts, Int> in [
      \.slices, \.openSlices, \.failedSlices, \.flows, \.failures, \.gaps, \.graphs, \.lives,
      \.spans, \.links, \.rows, \.profiles,
    ] {
      self[keyPath: field] += other[keyPath: field]
    }
  }
}
