import EventLog
import Glibc
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// Writes what Dask's `TaskStreamPlugin` would have stored for a run: the records of
/// `get_task_stream`, or the rectangles drawn from them.
///
/// A record has the arguments of the scheduler's plugins at the end of a task, as plain JSON:
/// tuples and sets are lists, bytes are base64, a key is its text or number. `rectangles(records)`
/// of `distributed.diagnostics.task_stream` draws them.
struct TaskStreamExport {
  private let sink: ByteSink
  private let asRectangles: Bool
  private var colors: [String: String] = [:]
  /// The row of each thread of each worker, in the order of first use.
  private var rows: [String: Int] = [:]
  /// A cache of interned bytes: mostly pickled types, of which there are few.
  private var blobs: [String: [UInt8]] = [:]

  init(_ sink: ByteSink, asRectangles: Bool) {
    self.sink = sink
    self.asRectangles = asRectangles
  }

  mutating func write(
    _ reader: LogReader, _ run: RunInfo, _ tally: inout ExportTally, _ progress: (Int64) -> Void
  ) throws {
    let schedulers = try reader.sources(of: run).filter { $0.source.kind == .scheduler }
    let cursor = try reader.events(
      of: run, order: .arrival, wanted: Set(schedulers.map(\.number)))
    var count: Int64 = 0
    while let recorded = try cursor.nextEvent() {
      count += 1
      if count & 4095 == 0 { progress(tally.events + cursor.count) }
      let event = recorded.event
      guard event.hook == .transition, event.start == .processing, let key = event.key,
        event.finish == .memory || event.finish == .erred
      else { continue }
      let runArgs = RunArgs(event.args.json)
      guard !runArgs.spans.isEmpty else {
        // The plugin cannot draw these either, and raises an error.
        tally.skipped += 1
        tally.skippedBecause = "have no spans of work, and Dask's task stream omits them, too"
        continue
      }
      if asRectangles {
        addRectangles(key, event, runArgs, &tally)
      } else {
        addRecord(key, event, reader)
        tally.written.rows += 1
      }
      try sink.flushIfLarge()
    }
    tally.events += cursor.count
    tally.damaged += cursor.damagedCount
  }

  // MARK: - Records

  private mutating func addRecord(_ key: Key, _ event: Event, _ reader: LogReader) {
    sink.write("{\"key\":")
    switch key.typed.isEmpty ? .null : key.value {
    case .int, .double: sink.bytes.json(plain: key.value)
    default: sink.bytes.json(key.text)
    }
    if let stimulus = event.stimulusID {
      sink.write(",\"stimulus_id\":")
      sink.bytes.json(stimulus)
    }
    var cache = blobs
    let args = try? JSONReader.value(event.args.json) { hash in
      if let bytes = cache[hash] { return bytes }
      let bytes = reader.blob(hash: hash)
      if cache.count < 1024 { cache[hash] = bytes }
      return bytes
    }
    blobs = cache
    if case .dict(let entries)? = args {
      for entry in entries {
        guard case .string(let name) = entry.key, name != "key", name != "$args" else { continue }
        sink.write(",")
        sink.bytes.json(name)
        sink.write(":")
        sink.bytes.json(plain: entry.value)
      }
    }
    sink.write("}\n")
  }

  // MARK: - Rectangles

  private static let styles: [String: (prefix: String, color: String?, alpha: String)] = [
    "compute": ("", nil, "1"),
    "transfer": ("transfer-", "red", "0.4"),
    "deserialize": ("deserialize-", "gray", "0.4"),
    "disk-write": ("disk-write-", "orange", "0.4"),
    "disk-read": ("disk-read-", "orange", "0.4"),
  ]

  private mutating func addRectangles(
    _ key: Key, _ event: Event, _ runArgs: RunArgs, _ tally: inout ExportTally
  ) {
    guard let worker = runArgs.worker, let thread = runArgs.thread else {
      tally.skipped += 1
      tally.skippedBecause = "have no thread, and Dask's task stream omits them, too"
      return
    }
    let workerThread = "\(worker)-\(thread)"
    let row = rows[workerThread] ?? rows.count
    rows[workerThread] = row
    let name = key.prefix
    for span in Self.spans(event.args.json) {
      guard let style = Self.styles[span.action] else {
        tally.skipped += 1
        tally.skippedBecause = "have an action that Dask's task stream cannot draw"
        continue
      }
      let isOK = event.finish == .memory
      let color = style.color ?? (isOK ? color(of: name) : "black")
      sink.write("{\"start\":")
      sink.write(((span.start + span.stop) / 2 * 1000).description)
      sink.write(",\"duration\":")
      sink.write((1000 * (span.stop - span.start)).description)
      sink.write(",\"duration_text\":")
      sink.bytes.json(Self.text(span.stop - span.start))
      for (field, text) in [
        (",\"key\":" as StaticString, key.text), (",\"name\":", style.prefix + name),
        (",\"color\":", color),
      ] {
        sink.write(field)
        sink.bytes.json(text)
      }
      sink.write(",\"alpha\":\(style.alpha),\"worker\":")
      sink.bytes.json(worker)
      sink.write(",\"worker_thread\":")
      sink.bytes.json(workerThread)
      sink.write(",\"y\":\((Double(row) / 2).description)}\n")
      tally.written.rows += 1
    }
  }

  /// The recorded spans in seconds: rectangles are computed from them in the same way as in Dask.
  private static func spans(_ args: String) -> [StartStop] {
    guard let value = try? JSONReader.value(args) else { return [] }
    return value["startstops"]?.elements?.compactMap(StartStop.init) ?? []
  }

  /// `distributed.utils.palette`: viridis in 18 steps.
  private static let palette = [
    "#440154", "#471669", "#472A79", "#433C84", "#3C4D8A", "#355D8C", "#2E6C8E", "#287A8E",
    "#23898D", "#1E978A", "#20A585", "#2EB27C", "#45BF6F", "#64CB5D", "#88D547", "#AFDC2E",
    "#D7E219", "#FDE724",
  ]

  /// `distributed.utils.color_of`.
  private mutating func color(of name: String) -> String {
    if let color = colors[name] { return color }
    let color = Self.palette[Int(MD5.start(of: name)) % Self.palette.count]
    if colors.count < 1 << 14 { colors[name] = color }
    return color
  }

  /// `dask.utils.format_time`.
  static func text(_ seconds: Double) -> String {
    switch seconds {
    case _ where seconds > 172_800:
      let days = (seconds / 86_400).rounded(.towardZero)
      return "\(truncated(days))d \(truncated((seconds - days * 86_400) / 3600))hr"
    case _ where seconds > 7200:
      let hours = (seconds / 3600).rounded(.towardZero)
      return "\(truncated(hours))hr \(truncated((seconds - hours * 3600) / 60))m"
    case _ where seconds > 600:
      let minutes = (seconds / 60).rounded(.towardZero)
      return "\(truncated(minutes))m \(truncated(seconds - minutes * 60))s"
    case _ where seconds >= 1: return "\(fixed(seconds)) s"
    case _ where seconds >= 1e-3: return "\(fixed(seconds * 1e3)) ms"
    default: return "\(fixed(seconds * 1e6)) us"
    }
  }

  private static func truncated(_ number: Double) -> Int64 {
    Int64(exactly: number.rounded(.towardZero)) ?? 0
  }

  /// Two decimals, rounded as in C.
  private static func fixed(_ number: Double) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
      let count = withVaList([number]) { vsnprintf(text.baseAddress, text.count, "%.2f", $0) }
      guard count > 0, count < text.count else { return number.description }
      return String(decoding: text[..<Int(count)].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
  }
}

extension [UInt8] {
  /// A value as plain JSON, for programs that do not know the log's types.
  mutating func json(plain value: Value) {
    switch value {
    case .null: raw("null")
    case .bool(let value): raw(value ? "true" : "false")
    case .int(let number): json(number)
    case .bigInt(let digits): append(contentsOf: digits.utf8)
    case .double(let number) where number.isFinite: append(contentsOf: number.description.utf8)
    case .double: raw("null")
    case .string(let text): json(text)
    case .wtf8(let bytes): json(String(decoding: bytes, as: UTF8.self))
    case .bytes(let bytes), .bytearray(let bytes):
      append(0x22)
      Base64.append(bytes, to: &self)
      append(0x22)
    case .list(let values), .tuple(let values), .set(let values), .frozenset(let values):
      append(0x5B)
      for (index, value) in values.enumerated() {
        if index > 0 { append(0x2C) }
        json(plain: value)
      }
      append(0x5D)
    case .dict(let entries):
      append(0x7B)
      for (index, entry) in entries.enumerated() {
        if index > 0 { append(0x2C) }
        json(Key(entry.key)?.text ?? JSONWriter.text(entry.key))
        append(0x3A)
        json(plain: entry.value)
      }
      append(0x7D)
    case .tagged(let name, let value):
      append(0x7B)
      json(name)
      append(0x3A)
      json(plain: value)
      append(0x7D)
    }
  }
}
