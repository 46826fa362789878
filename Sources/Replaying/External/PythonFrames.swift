import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Encodes messages to the Python host, as read by `tasklog/replay/frames.py`: MessagePack arrays
/// that start with the kind of message.
///
/// Args and snapshots are sent as the log's JSON; the host decodes them when a plugin accesses
/// them.
struct PythonFrames: ~Copyable {
  private enum Kind: Int64 {
    case hello, source, event, blob, flush, finish
  }

  /// The version of the protocol; the host has the same number.
  static let version: Int64 = 1
  /// Beyond this many bytes of blobs the host drops the older ones.
  private static let blobLimit = 128 << 20

  private var writer = MessagePackWriter(capacity: 1 << 17)
  private let hookIndexes = Dictionary(
    uniqueKeysWithValues: Hook.known.enumerated().map { ($1, Int64($0)) })
  private var sentBlobs: Set<String> = []
  private var sentBytes = 0

  var count: Int { writer.count }
  var bytes: UnsafeRawBufferPointer { writer.bytes }

  mutating func removeAll() { writer.removeAll() }

  private mutating func begin(_ kind: Kind, _ fields: Int) {
    writer.write(arrayOf: fields + 1)
    writer.write(kind.rawValue)
  }

  // MARK: - Everything but events

  mutating func hello(_ request: PythonRequest, run: RunInfo) {
    begin(.hello, 1)
    let plugins = request.plugins.map { plugin in
      let options = plugin.options.sorted { $0.key < $1.key }
      return Value.list([
        .string(plugin.name),
        .dict(options.map { .init(.string($0.key), .string($0.value)) }),
      ])
    }
    let results = request.results.map { Value.list([.string($0.plugin), .string($0.path)]) }
    writer.write(
      .object([
        "protocol": .int(Self.version),
        "plugins": .list(plugins),
        "results": .list(results),
        "trustPickles": .bool(request.trustsPickles),
        "failFast": .bool(request.failsFast),
        "verify": .bool(request.verifies),
        "timeout": .int(Int64(request.timeoutSeconds)),
        "memoryLimit": .int(request.memoryLimit),
        "run": .object([
          "engine": .string(run.engine),
          "engineVersion": .string(run.engineVersion),
          "metadata": .string(JSONWriter.text(run.metadata)),
        ]),
      ]))
  }

  mutating func source(_ info: SourceInfo) {
    begin(.source, 5)
    writer.write(info.number)
    writer.write(info.source.kind.rawValue)
    writer.write(info.source.id)
    writer.write(info.source.address)
    writer.write(info.source.name)
  }

  mutating func flush() { begin(.flush, 0) }

  mutating func finish() { begin(.finish, 0) }

  // MARK: - Events

  mutating func event(_ recorded: RecordedEvent, isSelected: Bool, hasSnapshot: Bool) {
    let event = recorded.event
    let args = event.args.encoded
    var snapshot: EncodedJSON?
    if hasSnapshot, case .encoded(let json) = event.snapshot { snapshot = json }
    if let args { sendBlobs(of: args) }
    if let snapshot { sendBlobs(of: snapshot) }
    begin(.event, 15)
    writer.write(isSelected)
    writer.write(recorded.seq)
    writer.write(recorded.source)
    writer.write(recorded.sourceSeq)
    writer.write(event.time)
    if let index = hookIndexes[event.hook] { writer.write(index) } else { write(event.hook.name) }
    if let key = event.key {
      writer.write(key.text)
      let typed = key.typed
      write(typed.isEmpty ? nil : typed)
    } else {
      writer.writeNil()
      writer.writeNil()
    }
    write(event.start)
    write(event.finish)
    write(event.stimulusID)
    write(event.worker)
    if let run = event.taskRunID { writer.write(run) } else { writer.writeNil() }
    write(args?.text)
    write(snapshot?.text)
  }

  private mutating func write(_ text: String?) {
    if let text { writer.write(text) } else { writer.writeNil() }
  }

  private mutating func write(_ state: State?) {
    guard let state else { return writer.writeNil() }
    if let index = state.knownIndex { writer.write(Int64(index)) } else { writer.write(state.name) }
  }

  /// Sends the blobs that the text refers to and that are stored elsewhere in the log.
  private mutating func sendBlobs(of json: EncodedJSON) {
    for hash in Self.blobs(in: json.text) where !sentBlobs.contains(hash) {
      guard let bytes = json.blob(hash: hash) else { continue }
      if sentBytes > Self.blobLimit {
        begin(.blob, 2)
        writer.writeNil()
        writer.writeNil()
        sentBlobs.removeAll()
        sentBytes = 0
      }
      begin(.blob, 2)
      writer.write(hash)
      writer.write(bytes: bytes)
      sentBlobs.insert(hash)
      sentBytes += bytes.count
    }
  }

  /// The hashes of all `{"$blob":"…"}` in a text.
  static func blobs(in text: String) -> [String] {
    let mark: StaticString = #"$blob":""#
    let length = mark.utf8CodeUnitCount
    guard text.utf8.count > length else { return [] }
    var text = text
    return text.withUTF8 { bytes in
      var hashes: [String] = []
      var rest = UnsafeRawBufferPointer(bytes)
      while let base = rest.baseAddress, let match = memchr(base, 0x24, rest.count) {
        rest = UnsafeRawBufferPointer(rebasing: rest[(UnsafeRawPointer(match) - base)...])
        guard rest.count > length, let start = rest.baseAddress,
          memcmp(start, mark.utf8Start, length) == 0
        else {
          rest = UnsafeRawBufferPointer(rebasing: rest[1...])
          continue
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else { break }
        hashes.append(String(decoding: rest[..<end], as: UTF8.self))
      }
      return hashes
    }
  }
}
