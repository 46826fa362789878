import Glibc
import LogFormat

/// A folder that copies are delivered to. A copy has the name of a log only when it is complete: it is
/// written under a hidden name and renamed.
final class DeliveryFolder {
  private let requested: String
  /// Where a file is to have exactly the name that was requested, if no other file has it.
  private let exactName: String?
  private let run: String
  /// The files that this recorder has put there, by the names of the segments.
  private var own: [String: String] = [:]

  /// - Parameter exactName: the name of the first segment, if it should not contain the id of the run.
  init(_ folder: String, run: String, exactName: String?) {
    requested = folder
    self.run = run
    self.exactName = exactName
  }

  private static let pieceBytes = 4 << 20

  /// Copies a file into the folder; returns its path there.
  ///
  /// - Parameters:
  ///   - name: the name of the segment.
  ///   - isCancelled: asked between two pieces.
  /// - Throws: `DeliveryError`.
  func put(
    _ file: String, as name: String, unless isCancelled: () -> Bool
  ) throws(DeliveryError) -> String {
    let folder = try usable()
    let partial = "\(folder)/.\(Self.copyName(name, run: run)).part"
    defer { unlink(partial) }
    try copy(file, to: partial, isCancelled)
    let path = try rename(partial, in: folder, name)
    own[name] = path.lastPathComponent
    // Makes the new name permanent. Not every network file system can do it.
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor >= 0 {
      fsync(descriptor)
      close(descriptor)
    }
    return path
  }

  /// The name of a copy: that of its segment, with the id of the run if it does not have it yet, so
  /// that no run replaces the copy of another.
  static func copyName(_ name: String, run: String) -> String {
    guard !name.contains(run) else { return name }
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    return "\(name[..<dot])-\(run)\(name[dot...])"
  }

  private func rename(
    _ partial: String, in folder: String, _ name: String
  ) throws(DeliveryError) -> String {
    if own[name] == nil, let exactName, link(partial, "\(folder)/\(exactName)") == 0 {
      // A link fails if the name is taken; a rename would replace the file.
      return "\(folder)/\(exactName)"
    }
    let path = "\(folder)/\(own[name] ?? Self.copyName(name, run: run))"
    guard Glibc.rename(partial, path) == 0 else { throw .system(path) }
    return path
  }

  /// The folder itself if it is this user's own; else one of the user's within it, since another user
  /// who may write to the folder could replace what is being written.
  private func usable() throws(DeliveryError) -> String {
    var status = stat()
    if stat(requested, &status) != 0 {
      guard errno == ENOENT, mkdir(requested, 0o700) == 0, stat(requested, &status) == 0 else {
        throw .system(requested)
      }
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw DeliveryError(description: "\(requested): is not a folder")
    }
    if status.st_uid == geteuid() { return requested }
    let folder = "\(requested)/tasklog-\(geteuid())"
    if mkdir(folder, 0o755) != 0, errno != EEXIST { throw .system(folder) }
    guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
      status.st_uid == geteuid()
    else { throw DeliveryError(description: "\(folder): is not this user's own") }
    return folder
  }

  private func copy(
    _ file: String, to path: String, _ isCancelled: () -> Bool
  ) throws(DeliveryError) {
    let input = open(file, O_RDONLY | O_CLOEXEC)
    guard input >= 0 else { throw .system(file) }
    defer { close(input) }
    var status = stat()
    fstat(input, &status)
    // Remains of a process that was killed; a link of another user is not followed.
    unlink(path)
    let output = open(
      path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, status.st_mode & 0o777)
    guard output >= 0 else { throw .system(path) }
    var isOpen = true
    defer { if isOpen { close(output) } }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
    defer { buffer.deallocate() }
    while true {
      guard !isCancelled() else { throw DeliveryError(description: "\(path): out of time") }
      let count = read(input, buffer.baseAddress, buffer.count)
      if count == 0 { break }
      guard count > 0 else { throw .system(file) }
      var written = 0
      while written < count {
        let more = write(output, buffer.baseAddress! + written, count - written)
        guard more > 0 else { throw .system(path) }
        written += more
      }
    }
    // A full or failing network file system reports it here or when the file is closed.
    guard fsync(output) == 0 || errno == EINVAL || errno == EROFS else { throw .system(path) }
    isOpen = false
    guard close(output) == 0 else { throw .system(path) }
  }
}
