import TaskLogPlugin

/// The numbers in the metrics of a heartbeat, without building values.
///
/// The name of a number is the path to it, the parts joined by dots: `memory`,
/// `spilled_bytes.disk`, `digests_total_since_heartbeat.execute.inc.thread-cpu.seconds`.
package struct HeartbeatMetrics {
  /// What a worker measured of an activity since its last heartbeat.
  package struct Activity {
    /// Such as `execute`, `gather-dep`.
    package var context: String
    /// Of the tasks; `nil` if it is of none.
    package var prefix: String?
    package var name: String
    /// `seconds`, `bytes`, `count`.
    package var unit: String
    package var value: Double
  }

  private static let digests: StaticString = "digests_total_since_heartbeat"

  /// The path to the current number.
  private var path: [UInt8] = []

  /// Calls a closure with the name of each number, and with its text as in the JSON.
  ///
  /// - Parameter args: the args of a heartbeat, as an object.
  package static func forEach(
    in args: UnsafeBufferPointer<UInt8>,
    _ body: (_ name: [UInt8], _ number: UnsafeBufferPointer<UInt8>) -> Void
  ) {
    forEachMetric(in: args) { name, scanner in
      var metrics = HeartbeatMetrics()
      metrics.path = Array(scanner[name])
      metrics.flatten(&scanner, body)
    }
  }

  /// Calls a closure with each activity.
  ///
  /// - Parameter args: the args of a heartbeat, as an object.
  package static func activities(
    in args: UnsafeBufferPointer<UInt8>, _ body: (Activity) -> Void
  ) {
    forEachMetric(in: args) { name, scanner in
      guard scanner.equals(name, digests) else { return }
      scanner.members { name, scanner in
        guard scanner.equals(name, "$map") else { return }
        scanner.elements { scanner in
          var (parts, value): ([String]?, Double?)
          scanner.elements { scanner in
            if parts == nil {
              parts = texts(&scanner)
            } else {
              value = scanner.number()
            }
          }
          // Others are plain names, such as `latency`.
          guard let parts, let value, parts.count >= 3 else { return }
          let middle = parts[1..<parts.count - 2]
          body(
            Activity(
              context: parts[0], prefix: middle.isEmpty ? nil : middle.joined(separator: "."),
              name: parts[parts.count - 2], unit: parts[parts.count - 1], value: value))
        }
      }
    }
  }

  private static func forEachMetric(
    in args: UnsafeBufferPointer<UInt8>,
    _ body: (_ name: Range<Int>, _ scanner: inout JSONScanner) -> Void
  ) {
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      if scanner.equals(name, "metrics") { scanner.members(body) }
    }
  }

  private mutating func flatten(
    _ scanner: inout JSONScanner,
    _ body: (_ name: [UInt8], _ number: UnsafeBufferPointer<UInt8>) -> Void
  ) {
    switch scanner.peek() {
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      var index = 0
      // A list, tuple or set.
      let isList = scanner.elements { scanner in
        descend(Array(String(index).utf8)) { $0.flatten(&scanner, body) }
        index += 1
      }
      guard !isList else { return }
      scanner.members { name, scanner in
        if scanner.equals(name, "$map") {
          scanner.elements { flattenPair(&$0, body) }
        } else if scanner.equals(name, "$python") {
          // Such as a `Counter`, which only a worker in the scheduler's process sends as it is.
          scanner.members { name, scanner in
            if scanner.equals(name, "state") { flatten(&scanner, body) }
          }
        } else if scanner[name].first != UInt8(ascii: "$") {
          descend(Self.unescaped(name, scanner)) { $0.flatten(&scanner, body) }
        }
      }
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
      if let number = scanner.token() { body(path, scanner[number]) }
    default: break
    }
  }

  /// A key that is no text, and its value.
  private mutating func flattenPair(
    _ scanner: inout JSONScanner,
    _ body: (_ name: [UInt8], _ number: UnsafeBufferPointer<UInt8>) -> Void
  ) {
    var key: [UInt8]?
    scanner.elements { scanner in
      if let key {
        descend(key) { $0.flatten(&scanner, body) }
      } else {
        key = Array((Self.texts(&scanner) ?? []).joined(separator: ".").utf8)
      }
    }
  }

  private mutating func descend(_ name: [UInt8], _ body: (inout HeartbeatMetrics) -> Void) {
    let count = path.count
    path.append(UInt8(ascii: "."))
    path += name
    body(&self)
    path.removeLast(path.count - count)
  }

  /// The texts of a key: of a tuple those of its elements.
  private static func texts(_ scanner: inout JSONScanner) -> [String]? {
    scanner.token().flatMap {
      let key = try? JSONReader.value(String(decoding: scanner[$0], as: UTF8.self))
      return key.map { ($0.elements ?? [$0]).map { $0.string ?? JSONWriter.text($0) } }
    }
  }

  private static func unescaped(_ name: Range<Int>, _ scanner: JSONScanner) -> [UInt8] {
    let bytes = Array(scanner[name])
    guard bytes.contains(UInt8(ascii: "\\")) else { return bytes }
    let json = "\"" + String(decoding: bytes, as: UTF8.self) + "\""
    return (try? JSONReader.value(json))?.string.map { Array($0.utf8) } ?? bytes
  }
}

/// What the numbers of Dask's metrics are.
package enum MetricUnit {
  /// The unit of a number by its name; `nil` if it is not known, such as a metric of a user.
  package static func unit(of name: String) -> String? {
    if let unit = known[name] { return unit }
    if name.hasPrefix("digests_total_since_heartbeat.") {
      let end = name.split(separator: ".").last ?? ""
      return ["seconds", "bytes", "count"].contains(end)
        ? String(end)
        : end == "latency" || end.hasSuffix("-duration")
          ? "seconds" : end.hasSuffix("-bandwidth") ? "bytes/s" : nil
    }
    // A worker's bandwidth to another one: bytes per second, and of how many transfers.
    if name.hasPrefix("bandwidth.") { return name.hasSuffix(".1") ? "count" : "bytes/s" }
    if name.hasPrefix("task_counts.") { return "count" }
    if name.hasPrefix("spilled_bytes.") || name.hasSuffix("_bytes") { return "bytes" }
    if name.hasSuffix("_bps") { return "bytes/s" }
    if name.hasSuffix("_count") || name.hasSuffix("_count_total") { return "count" }
    return nil
  }

  private static let known = [
    "memory": "bytes", "cpu": "percent", "time": "epoch seconds", "num_fds": "count",
    "event_loop_interval": "seconds", "gil_contention": "share", "bandwidth.total": "bytes/s",
  ]
}
