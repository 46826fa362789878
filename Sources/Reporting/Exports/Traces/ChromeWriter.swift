import Querying

/// Writes a trace as the JSON of Chrome's `about:tracing`, which other viewers read as well.
///
/// Times in it are microseconds, which viewers keep as floating-point numbers: they are told from a
/// day before the first run on, so that the nanoseconds are kept and nothing is below 0.
struct ChromeWriter: TraceWriter {
  private let sink: ByteSink
  private let base: Int64
  private var isFirst = true

  /// - Parameter base: the time that is written as 0.
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
    let place = (process.id, process.id)
    event("M", place, "process_name")
    sink.write(",\"args\":{\"name\":")
    sink.bytes.json(process.name)
    sink.write("}}")
    event("M", place, "process_labels")
    sink.write(",\"args\":{\"labels\":")
    sink.bytes.json(process.label)
    sink.write("}}")
    event("M", place, "process_sort_index")
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
    let place = (track.process, track.id)
    event(slice.stop == nil ? "B" : "X", place, slice.name)
    time("ts", slice.start &- base)
    if let stop = slice.stop { time("dur", stop - slice.start) }
    category(slice.category)
    // One of the viewer's colours by name.
    if slice.hasFailed { sink.write(",\"cname\":\"terrible\"") }
    details(slice.details)
    for flow in slice.flowsFrom {
      event("s", place, "dependency")
      self.flow(flow, at: max(slice.start, (slice.stop ?? slice.start) - 1))
    }
    for flow in slice.flowsTo {
      event("f", place, "dependency")
      sink.write(",\"bp\":\"e\"")
      self.flow(flow, at: slice.start)
    }
  }

  private mutating func flow(_ flow: UInt64, at moment: Int64) {
    time("ts", moment &- base)
    category("dependency")
    sink.write(",\"id\":\"0x\(String(flow, radix: 16))\"}")
  }

  mutating func instant(
    _ name: String, at moment: Int64, category: String, _ details: [TraceDetail],
    on track: TraceTrack
  ) {
    event("i", (track.process, track.id), name)
    time("ts", moment &- base)
    sink.write(",\"s\":\"t\"")
    self.category(category)
    self.details(details)
  }

  mutating func count(_ value: Int64, at moment: Int64, on track: TraceTrack) {
    event("C", (track.process, track.id), track.name)
    time("ts", moment &- base)
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
        // Beyond 2^53 a viewer would round it.
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
