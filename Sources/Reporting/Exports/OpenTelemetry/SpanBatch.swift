import EventLog
import LogFormat
import TaskLogPlugin

/// An OpenTelemetry span.
struct Span {
  /// The numbers of https://github.com/open-telemetry/opentelemetry-proto's `SpanKind`.
  enum Kind: Int64 {
    case `internal` = 1
    case producer = 4
    case consumer = 5
  }

  struct Event {
    var name: String
    var time: Int64
    var attributes: SpanAttributes
  }

  var id: UInt64
  var parent: UInt64?
  var name: String
  var kind: Kind
  /// Nanoseconds since 1970 UTC.
  var start: Int64
  var end: Int64 = 0
  var attributes = SpanAttributes()
  var events: [Event] = []
  /// The IDs of linked spans of the same trace.
  var links: [UInt64] = []
  var isOK = false
  var hasFailed = false
  var message = ""
}

/// Attributes as JSON.
struct SpanAttributes {
  fileprivate var json: [UInt8] = []

  mutating func text(_ name: StaticString, _ text: String) {
    begin(name)
    json.raw("stringValue\":")
    json.json(text)
    json.raw("}}")
  }

  /// 64-bit integers are strings in the JSON of protocol buffers.
  mutating func number(_ name: StaticString, _ number: Int64) {
    begin(name)
    json.raw("intValue\":\"")
    json.json(number)
    json.raw("\"}}")
  }

  private mutating func begin(_ name: StaticString) {
    if !json.isEmpty { json.append(0x2C) }
    json.raw("{\"key\":\"")
    json.raw(name)
    json.raw("\",\"value\":{\"")
  }
}

/// The scheduler or a worker of a run, as the resource of spans.
struct SpanResource {
  fileprivate var attributes = SpanAttributes()

  init(_ run: RunInfo, _ source: Source?) {
    attributes.text("service.namespace", "tasklog")
    attributes.text(
      "service.name", (run.engine + "-" + (source?.kind.rawValue ?? "scheduler")))
    attributes.text("service.version", run.engineVersion)
    attributes.text("service.instance.id", source?.id ?? run.id)
    if let source { attributes.text("server.address", source.address) }
    switch source?.name {
    case .string(let name)?: attributes.text("tasklog.worker.name", name)
    case .int(let number)?: attributes.number("tasklog.worker.name", number)
    default: break
    }
    if let host = run.metadata[RunMetadataKey.host]?.string, source?.kind == .scheduler {
      attributes.text("host.name", host)
    }
    if let pid = run.metadata[RunMetadataKey.processID]?.int, source?.kind == .scheduler {
      attributes.number("process.pid", pid)
    }
    attributes.text("tasklog.run.id", run.id)
  }
}

/// The spans of one line, grouped by resource.
struct SpanBatch {
  private let ids: SpanIDs
  private var resources: [(resource: SpanResource, spans: [UInt8])] = []
  private var count = 0

  init(ids: SpanIDs) {
    self.ids = ids
  }

  mutating func addResource(_ resource: SpanResource) -> Int {
    resources.append((resource, []))
    return resources.count - 1
  }

  mutating func write(to sink: ByteSink, ifMoreThan limit: Int = 0) throws {
    guard count > limit else { return }
    sink.write("{\"resourceSpans\":[")
    var isFirst = true
    for index in resources.indices where !resources[index].spans.isEmpty {
      if !isFirst { sink.bytes.append(0x2C) }
      isFirst = false
      sink.write("{\"resource\":{\"attributes\":[")
      sink.bytes += resources[index].resource.attributes.json
      sink.write("]},\"scopeSpans\":[{\"scope\":{\"name\":\"tasklog\"},\"spans\":[")
      sink.bytes += resources[index].spans
      sink.write("]}]}")
      resources[index].spans.removeAll(keepingCapacity: true)
    }
    sink.write("]}\n")
    count = 0
    try sink.flushIfLarge()
  }

  mutating func add(_ span: Span, to resource: Int) {
    count += 1
    write(span, to: &resources[resource].spans)
  }

  private func write(_ span: Span, to json: inout [UInt8]) {
    if !json.isEmpty { json.append(0x2C) }
    json.raw("{\"traceId\":\"")
    json.append(contentsOf: ids.trace.utf8)
    json.raw("\",\"spanId\":")
    Self.write(id: span.id, to: &json)
    if let parent = span.parent {
      json.raw(",\"parentSpanId\":")
      Self.write(id: parent, to: &json)
    }
    json.raw(",\"name\":")
    json.json(span.name)
    json.raw(",\"kind\":")
    json.json(span.kind.rawValue)
    json.raw(",\"startTimeUnixNano\":\"")
    json.json(max(0, span.start))
    json.raw("\",\"endTimeUnixNano\":\"")
    json.json(max(0, span.end))
    json.raw("\",\"attributes\":[")
    json += span.attributes.json
    json.append(0x5D)
    write(span.events, to: &json)
    write(links: span.links, to: &json)
    if span.hasFailed {
      json.raw(",\"status\":{\"code\":2,\"message\":")
      json.json(span.message)
      json.append(0x7D)
    } else if span.isOK {
      json.raw(",\"status\":{\"code\":1}")
    }
    json.append(0x7D)
  }

  private func write(_ events: [Span.Event], to json: inout [UInt8]) {
    guard !events.isEmpty else { return }
    json.raw(",\"events\":[")
    for (index, event) in events.enumerated() {
      if index > 0 { json.append(0x2C) }
      json.raw("{\"timeUnixNano\":\"")
      json.json(max(0, event.time))
      json.raw("\",\"name\":")
      json.json(event.name)
      json.raw(",\"attributes\":[")
      json += event.attributes.json
      json.raw("]}")
    }
    json.append(0x5D)
  }

  private func write(links: [UInt64], to json: inout [UInt8]) {
    guard !links.isEmpty else { return }
    json.raw(",\"links\":[")
    for (index, link) in links.enumerated() {
      if index > 0 { json.append(0x2C) }
      json.raw("{\"traceId\":\"")
      json.append(contentsOf: ids.trace.utf8)
      json.raw("\",\"spanId\":")
      Self.write(id: link, to: &json)
      json.raw(",\"attributes\":[{\"key\":\"tasklog.link\",\"value\":")
      json.raw("{\"stringValue\":\"dependency\"}}]}")
    }
    json.append(0x5D)
  }

  private static func write(id: UInt64, to json: inout [UInt8]) {
    json.append(0x22)
    for shift in stride(from: UInt64(60), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: id >> shift) & 15
      json.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
    json.append(0x22)
  }
}
