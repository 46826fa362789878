import Querying

/// Writes a trace as the JSON of Chrome's `about:tracing`, which other viewers read, too.
///
/// Times are in microseconds, which viewers store as floating-point numbers. They count from a day
/// before the first run, so that the nanoseconds are kept and no time is negative.
struct ChromeWriter: TraceWriter {
  private let sink: ByteSink
  private let base: Int64
  private var isFirst = true

  /// - Parameter base: the time written as 0, in nanoseconds.
  init(_ sink: ByteSink, base: Int64) {
    self.sink = sink
    self.base = base
    sink.write("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"recorder\":\"tasklog\",")
    sink.write("\"zero\":\"\(Timestamp.iso(base))\",\"zero_ns\":\"\(base)\"},\"traceEvents\":[")
  }

  private mutating func event(
    _ phase: StaticString, _ track: (process: Int32, id: Int32), _ name: String
  ) {
    sink.write(isFirst ? "\n" : ",\n")
    isFirst = false
    sink.write("{\"ph\":\"")
    sink.write(phase)
    sink.write("\",\"pid\":")
    sink.bytes.json(Int64(track.process))
    sink.write(",\"tid\":")
    sink.bytes.json(Int64(track.id))
    sink.write(",\"name\":")
    sink.bytes.json(name)
  }

  private func time(_ name: StaticString, _ nanoseconds: Int64) {
    sink.write(",\"")
    sink.write(name)
    sink.write("\":")
    if nanoseconds < 0 { sink.bytes.append(0x2D) }
    let magnitude = nanoseconds.magnitude
    sink.bytes.json(Int64(magnitude / 1000))
    let rest = UInt8(truncatingIfNeeded: magnitude % 1000 / 100)
    let tens = UInt8(truncatingIfNeeded: magnitude % 100 / 10)
    let ones = UInt8(truncatingIfNeeded: magnitude % 10)
    sink.bytes += [0x2E, 0x30 + rest, 0x30 + tens, 0x30 + ones]
  }

  // MARK: - Tracks

  mutating func add(_ process: TraceProcess) {
    let track = (process.id, process.id)
    event("M", track, "process_name")
    sink.write(",\"args\":{\"name\":")
    sink.bytes.json(process.name)
    sink.write("}}")
    event("M", track, "process_labels")
    sink.write(",\"args\":{\"labels\":")
    sink.bytes.json(process.label)
    sink.write("}}")
    event("M", track, "process_sort_index")
    sink.write(",\"args\":{\"sort_index\":\(process.id)}}")
  }

  mutating func add(_ track: TraceTrack) {
    if case .counter = track.kind { return }
    event("M", (track.process, track.id), "thread_name")
    sink.write(",\"args\":{\"name\":")
    sink.bytes.json(track.name)
    sink.write("}}")
    event("M", (track.process, track.id), "thread_sort_index")
    sink.write(",\"args\":{\"sort_index\":\(track.rank)}}")
  }

  // MARK: - Events

  mutating func slice(_ slice: TraceSlice, on track: TraceTrack) {
    let eventTrack = (track.process, track.id)
    event(slice.stop == nil ? "B" : "X", eventTrack, slice.name)
    time("ts", slice.start - base)
    if let stop = slice.stop { time("dur", stop - slice.start) }
    category(slice.category)
    // A named colour of the viewer.
    if slice.hasFailed { sink.write(",\"cname\":\"terrible\"") }
    details(slice.details)
    for flow in slice.flowsFrom {
      event("s", eventTrack, "dependency")
      self.flow(flow, at: max(slice.start, (slice.stop ?? slice.start) - 1))
    }
    for flow in slice.flowsTo {
      event("f", eventTrack, "dependency")
      sink.write(",\"bp\":\"e\"")
      self.flow(flow, at: slice.start)
    }
  }

  private mutating func flow(_ flow: UInt64, at timestamp: Int64) {
    time("ts", timestamp - base)
    category("dependency")
    sink.write(",\"id\":\"0x\(String(flow, radix: 16))\"}")
  }

  mutating func instant(
    _ name: String, at timestamp: Int64, category: String, _ details: [TraceDetail],
    on track: TraceTrack
  ) {
    event("i", (track.process, track.id), name)
    time("ts", timestamp - base)
    sink.write(",\"s\":\"t\"")
    self.category(category)
    self.details(details)
  }

  mutating func count(_ value: Int64, at timestamp: Int64, on track: TraceTrack) {
    event("C", (track.process, track.id), track.name)
    time("ts", timestamp - base)
    sink.write(",\"args\":{\"value\":")
    sink.bytes.json(value)
    sink.write("}}")
  }

  private func category(_ category: String) {
    sink.write(",\"cat\":")
    sink.bytes.json(category)
  }

  private func details(_ details: [TraceDetail]) {
    sink.write(",\"args\":{")
    for (index, detail) in details.enumerated() {
      sink.write(index == 0 ? "\"" : ",\"")
      sink.write(detail.name.text)
      sink.write("\":")
      switch detail.content {
      case .text(let text): sink.bytes.json(text)
      case .number(let number):
        // A viewer would round a number beyond 2^53.
        if number.magnitude < 1 << 53 {
          sink.bytes.json(number)
        } else {
          sink.write("\"\(number)\"")
        }
      }
    }
    sink.write("}}")
  }

  // MARK: - Output

  mutating func flushIfLarge() throws { try sink.flushIfLarge() }

  mutating func finish() throws {
    sink.write("\n]}\n")
    try sink.flush()
  }
}
