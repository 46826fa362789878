import EventLog
import Glibc
import TaskLogPlugin

/// Why the spool of a worker cannot be put into a log.
public enum WorkerSpoolError: Error, Sendable, CustomStringConvertible {
  case cannotRead(path: String, reason: String)
  case noSpool(path: String)
  case isInUse(path: String)
  case unknownRun(path: String, run: String, log: String)
  case runIsAlive(path: String, run: String)

  public var description: String {
    switch self {
    case .cannotRead(let path, let reason): "\(path): \(reason)"
    case .noSpool(let path): "\(path): is no spool of a worker"
    case .isInUse(let path): "\(path): its worker lives, and ships it itself"
    case .unknownRun(let path, let run, let log):
      "\(path): belongs to run \(run), which is not in \(log); '--log' names another log"
    case .runIsAlive(let path, let run):
      "\(path): run \(run) is still being recorded; the next worker on the host of this spool "
        + "ships it, and when the run is over this command puts it in"
    }
  }
}

/// Puts into a log what workers of a Dask cluster have left in their spools on hosts that never came
/// back: files that were copied from there.
///
/// A file is `RUN-ID/SOURCE-ID.N`: "tlworker", and records as `SourceRecord` has them, of which the
/// first is a map that says whose it is. The events are numbered: what is in the log already is left
/// out, so it does no harm to import a file twice.
public enum WorkerSpools {
  /// What came of the files of one worker.
  public struct Imported: Sendable {
    public var run: String
    public var worker: String
    public var events: Int64
    /// Events that are neither in these files nor in the log.
    public var missing: Int64
    /// Records that made no sense.
    public var unreadable: Int
  }

  /// Imports files, and all files below folders.
  ///
  /// - Throws: `WorkerSpoolError`, `LogError`.
  public static func importFiles(_ paths: [String], log: String) throws -> [Imported] {
    let files = try paths.flatMap(WorkerSpoolFile.find).map(WorkerSpoolFile.init)
    let writer = try LogWriter(path: log)
    defer { writer.close() }
    do {
      // What the scheduler had of these workers when it died comes first.
      _ = try Recovery.recover(writer)
      var groups = OrderedMap<String, [WorkerSpoolFile]>()
      for file in files {
        let source = file.run + "/" + file.id
        groups[source] = (groups[source] ?? []) + [file]
      }
      return try groups.values.map { files in
        try put(files.sorted { $0.number < $1.number }, writer)
      }
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: log, reason: error.message)
    }
  }

  private static func put(_ files: [WorkerSpoolFile], _ writer: LogWriter) throws -> Imported {
    let first = files[0]
    guard let run = try writer.run(id: first.run) else {
      throw WorkerSpoolError.unknownRun(path: first.path, run: first.run, log: writer.path)
    }
    guard !RecorderLock.isHeld(log: writer.path, run: first.run) else {
      throw WorkerSpoolError.runIsAlive(path: first.path, run: first.run)
    }
    var imported = Imported(
      run: first.run, worker: first.address, events: 0, missing: 0, unreadable: 0)
    try writer.transaction(synced: true) {
      var source: LogWriter.SourceProgress
      if let known = try writer.source(ofRun: run.number, serverID: first.id) {
        source = known
      } else {
        let id = try writer.add(
          Source(kind: .worker, id: first.id, address: first.address, name: first.name),
          run: run.number)
        source = .init(id: id, lastSourceSeq: 0)
      }
      for file in files { try put(file, &source, &imported, writer) }
    }
    return imported
  }

  private static func put(
    _ file: WorkerSpoolFile, _ source: inout LogWriter.SourceProgress, _ imported: inout Imported,
    _ writer: LogWriter
  ) throws {
    try file.withRecords { reader in
      while let record = reader.next() {
        switch record {
        case .event(let sourceSeq, let fields):
          guard sourceSeq > source.lastSourceSeq else { continue }
          do {
            let event = try EncodedEvent(fields: fields)
            let before = sourceSeq - source.lastSourceSeq - 1
            try lose(before, "lost on the way", event.time, &source, &imported, writer)
            try writer.append(event, source: source.id, sourceSeq: sourceSeq)
            source.lastSourceSeq = sourceSeq
            imported.events += 1
          } catch is MessagePackError {
            imported.unreadable += 1
          }
        case .gap(let sourceSeq, let count, let time, let reason):
          let end = sourceSeq + min(max(0, count), 1 << 48) - 1
          guard end > source.lastSourceSeq else { continue }
          try lose(end - source.lastSourceSeq, reason, time, &source, &imported, writer)
        }
      }
      imported.unreadable += reader.unreadableCount
    }
  }

  private static func lose(
    _ count: Int64, _ reason: String, _ time: Int64, _ source: inout LogWriter.SourceProgress,
    _ imported: inout Imported, _ writer: LogWriter
  ) throws {
    guard count > 0 else { return }
    try writer.addGap(
      source: source.id, sourceSeq: source.lastSourceSeq + 1, count: count, time: time,
      reason: reason)
    source.lastSourceSeq += count
    imported.missing += count
  }
}

/// A file of a worker's spool.
struct WorkerSpoolFile {
  private static let magic = Array("tlworker".utf8)

  let path: String
  let run: String
  let id: String
  let address: String
  let name: Value
  /// Its place among the files of the worker.
  let number: Int
  private let content: [UInt8]

  /// The files below a path.
  ///
  /// - Throws: `WorkerSpoolError`.
  static func find(_ path: String) throws -> [String] {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw WorkerSpoolError.cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
    guard let stream = opendir(path) else {
      throw WorkerSpoolError.cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    defer { closedir(stream) }
    var found: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      // A file under its way has not been begun.
      guard name != ".", name != "..", !name.hasSuffix(".new") else { continue }
      found += try find(path + "/" + name)
    }
    return found.sorted()
  }

  /// - Throws: `WorkerSpoolError`.
  init(_ path: String) throws {
    self.path = path
    content = try Self.read(path)
    guard content.starts(with: Self.magic) else { throw WorkerSpoolError.noSpool(path: path) }
    let header = content.withUnsafeBytes { bytes -> Value? in
      var reader = SourceRecordReader(
        UnsafeRawBufferPointer(rebasing: bytes[Self.magic.count...]), checksCRC: true)
      guard let first = reader.nextContent() else { return nil }
      var fields = MessagePackReader(first)
      return try? fields.value()
    }
    guard let run = header?["run"]?.string, let id = header?["id"]?.string, !id.isEmpty else {
      throw WorkerSpoolError.noSpool(path: path)
    }
    self.run = run
    self.id = id
    address = header?["address"]?.string ?? "unknown"
    name = header?["name"] ?? .null
    number = path.split(separator: ".").last.flatMap { Int($0) } ?? 0
  }

  private static func read(_ path: String) throws -> [UInt8] {
    func failure() -> WorkerSpoolError {
      .cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
      throw WorkerSpoolError.isInUse(path: path)
    }
    var content: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Glibc.read(descriptor, &part, part.count)
      guard count >= 0 else { throw failure() }
      guard count > 0 else { return content }
      content += part[..<count]
    }
  }

  /// The records behind the one that says whose they are.
  func withRecords(_ body: (inout SourceRecordReader) throws -> Void) throws {
    try content.withUnsafeBytes { bytes in
      var reader = SourceRecordReader(
        UnsafeRawBufferPointer(rebasing: bytes[Self.magic.count...]), checksCRC: true)
      _ = reader.nextContent()
      try body(&reader)
    }
  }
}
