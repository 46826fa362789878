import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The state file in a publisher's folder next to its spool: enough for another publisher to resume
/// after its death.
///
/// A JSON file that is only ever replaced as a whole. It may be behind: events that were confirmed
/// since are then published again, and a log stores them only once.
struct PublisherState {
  static let name = "publisher.json"

  var run: RunHeader
  var payload: Publishing.Payload
  /// The destination of the publisher.
  var destination: String
  /// By their index within the spool.
  var sources: [Int: Source] = [:]
  /// Everything before it has been confirmed.
  var position = SpoolPosition.start
  /// When the run was closed, if the broker could not be notified.
  var closed: Int64?

  /// - Throws: `SpoolError`.
  func save(in folder: String) throws(SpoolError) {
    let path = "\(folder)/\(Self.name)"
    let text = Array(JSONWriter.text(value).utf8)
    let descriptor = open(path + ".new", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw SpoolError(path, errno) }
    let written = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    let code = errno
    close(descriptor)
    guard written == text.count else { throw SpoolError(path, written < 0 ? code : ENOSPC) }
    guard rename(path + ".new", path) == 0 else { throw SpoolError(path, errno) }
  }

  static func remove(from folder: String) {
    unlink("\(folder)/\(name)")
    unlink("\(folder)/\(name).new")
  }

  private var value: Value {
    let batch: Int64 = if case .events(let batch) = payload { Int64(batch) } else { 0 }
    return .object([
      "run": .object([
        "id": .string(run.id), "engine": .string(run.engine),
        "engine_version": .string(run.engineVersion),
        "recorder_version": .string(run.recorderVersion), "mode": .string(run.mode),
        "started": .int(run.started), "metadata": run.metadata,
      ]),
      "destination": .string(destination),
      "batch": .int(batch),
      "segment": .int(Int64(position.segment)), "offset": .int(Int64(position.offset)),
      "closed": closed.map { .int($0) } ?? .null,
      "sources": .list(
        sources.sorted { $0.key < $1.key }.map { index, source in
          .object([
            "number": .int(Int64(index)), "kind": .string(source.kind.rawValue),
            "id": .string(source.id), "address": .string(source.address), "name": source.name,
          ])
        }),
    ])
  }
}

extension PublisherState {
  /// The state of a publisher that died; `nil` if there is none or it is invalid.
  init?(folder: String) {
    guard let bytes = Self.read("\(folder)/\(Self.name)"),
      let value = try? JSONReader.value(String(decoding: bytes, as: UTF8.self)),
      let run = value["run"], let id = run["id"]?.string, let engine = run["engine"]?.string,
      let engineVersion = run["engine_version"]?.string,
      let recorderVersion = run["recorder_version"]?.string, let mode = run["mode"]?.string,
      let started = run["started"]?.int,
      let batch = value["batch"]?.int.flatMap(Int.init(exactly:)),
      let segment = value["segment"]?.int.flatMap(UInt32.init(exactly:)),
      let offset = value["offset"]?.int.flatMap(UInt32.init(exactly:)),
      let sources = value["sources"]?.elements
    else { return nil }
    self.init(
      run: RunHeader(
        id: id, engine: engine, engineVersion: engineVersion, recorderVersion: recorderVersion,
        mode: mode, started: started, metadata: run["metadata"] ?? .dict([])),
      payload: batch > 0 ? .events(batch: batch) : .transitions,
      destination: value["destination"]?.string ?? "unknown",
      position: SpoolPosition(segment: segment, offset: Int(offset)),
      closed: value["closed"]?.int)
    for source in sources {
      guard let index = source["number"]?.int.flatMap(Int.init(exactly:)),
        let kind = source["kind"]?.string.flatMap(Source.Kind.init), let id = source["id"]?.string,
        let address = source["address"]?.string
      else { continue }
      self.sources[index] = Source(
        kind: kind, id: id, address: address, name: source["name"] ?? .null)
    }
  }

  private static func read(_ path: String) -> [UInt8]? {
    let descriptor = RegularFile.open(path, O_RDONLY | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { return nil }
      guard count > 0 else { return content }
      content += buffer[..<count]
    }
  }
}
