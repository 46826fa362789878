import EventLog
import Glibc
import TaskLogPlugin

/// What a publisher's folder says of it beside its spool: enough for another one to go on after its
/// death.
///
/// A JSON file that is only ever replaced as a whole. It may lag behind: what was confirmed since is
/// then published once more, and a log takes it in once.
struct PublisherState {
  static let name = "publisher.json"

  var run: RunHeader
  var payload: Publishing.Payload
  /// Where it was published to.
  var destination: String
  /// By their number within the spool.
  var sources: [Int: Source] = [:]
  /// Everything before it has been confirmed.
  var position = SpoolPosition.start
  /// When the run was closed, if that could not be told to the broker.
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
        sources.sorted { $0.key < $1.key }.map { number, source in
          .object([
            "number": .int(Int64(number)), "kind": .string(source.kind.rawValue),
            "id": .string(source.id), "address": .string(source.address), "name": source.name,
          ])
        }),
    ])
  }
}

extension PublisherState {
  /// That of a publisher that died; nothing where there is none that makes sense.
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
      guard let number = source["number"]?.int.flatMap(Int.init(exactly:)),
        let kind = source["kind"]?.string.flatMap(Source.Kind.init), let id = source["id"]?.string,
        let address = source["address"]?.string
      else { continue }
      self.sources[number] = Source(
        kind: kind, id: id, address: address, name: source["name"] ?? .null)
    }
  }

  private static func read(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &part, part.count)
      guard count >= 0 else { return nil }
      guard count > 0 else { return content }
      content += part[..<count]
    }
  }
}
