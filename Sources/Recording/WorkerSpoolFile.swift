import Glibc
import LogFormat
import TaskLogPlugin

/// One file of a worker's spool.
final class WorkerSpoolFile {
  private static let magic = Array("tlworker".utf8)

  let path: String
  let run: String
  let id: String
  let address: String
  let name: Value
  /// The sequence number of this file among the files of the worker.
  let number: Int
  /// The log that its run was recorded into; `nil` if the file does not say.
  let home: String?
  private let content: [UInt8]
  /// Locked while this object lives, so that no other process consumes the file; -1 if not locked.
  private let descriptor: Int32

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Identifies the worker.
  var source: String { run + "/" + id }

  /// Whether the folder has a later file of this worker that is not among these.
  func hasNext(in files: [WorkerSpoolFile]) -> Bool {
    let known = Set(files.map(\.path.lastPathComponent))
    // A single file may have been renamed.
    guard path.lastPathComponent.hasPrefix(id + ".") else { return false }
    // If that is unknown, there may be one.
    guard let names = try? FolderListing.names(path.parentFolder) else { return true }
    return names.contains { other in
      other.hasPrefix(id + ".") && !known.contains(other)
        && other.split(separator: ".").last.flatMap { Int($0) } ?? 0 > number
    }
  }

  /// The spool files at or below a path.
  ///
  /// - Throws: `WorkerSpoolError`.
  static func find(_ path: String) throws -> [String] {
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw WorkerSpoolError.cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
    do {
      // A file that is still being created is none yet.
      return try FolderListing.names(path).filter { !$0.hasSuffix(".new") }
        .flatMap { try find(path + "/" + $0) }.sorted()
    } catch let error as FolderListing.Failure {
      throw WorkerSpoolError.cannotRead(path: path, reason: error.description)
    }
  }

  /// - Parameter removesFile: whether the file will be removed once it is in the log.
  /// - Throws: `WorkerSpoolError`.
  init(_ path: String, removesFile: Bool = false) throws {
    self.path = path
    let (content, descriptor) = try Self.read(path, removesFile)
    (self.content, self.descriptor) = (content, descriptor)
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
    home = header?["log"]?.string.map { log in
      log + (header?["log_host"]?.string.map { " on host \($0)" } ?? "")
    }
    number = path.split(separator: ".").last.flatMap { Int($0) } ?? 0
  }

  private static func read(
    _ path: String, _ removesFile: Bool
  ) throws -> (content: [UInt8], descriptor: Int32) {
    func failure() -> WorkerSpoolError {
      .cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure() }
    var isKept = false
    defer { if !isKept { close(descriptor) } }
    let lock = removesFile ? LOCK_EX : LOCK_SH
    guard flock(descriptor, lock | LOCK_NB) == 0 || errno != EWOULDBLOCK && !removesFile else {
      throw WorkerSpoolError.isInUse(path: path)
    }
    var status = stat()
    // Another process may have consumed it in between.
    guard !removesFile || fstat(descriptor, &status) == 0 && status.st_nlink > 0 else {
      throw WorkerSpoolError.isInUse(path: path)
    }
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count >= 0 else { throw failure() }
      guard count > 0 else {
        isKept = removesFile
        return (content, removesFile ? descriptor : -1)
      }
      content += buffer[..<count]
    }
  }

  /// Calls `body` with the records after the header record.
  func withRecords(_ body: (inout SourceRecordReader) throws -> Void) throws {
    try content.withUnsafeBytes { bytes in
      var reader = SourceRecordReader(
        UnsafeRawBufferPointer(rebasing: bytes[Self.magic.count...]), checksCRC: true)
      _ = reader.nextContent()
      try body(&reader)
    }
  }
}
