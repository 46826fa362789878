import Glibc

/// Where a log can be written.
///
/// Neither SQLite's write-ahead log nor a memory-mapped spool is safe on a network file system
/// (https://sqlite.org/wal.html#overview): a log whose path is on one, or on a file system that is
/// not known to be local (`LocalFileSystem`), is written to a local disk instead.
package enum LogLocation {
  /// The type of a log's file system if it is not a known local one: it is, or is treated as, a
  /// network file system.
  package static func networkFileSystem(of log: String) -> String? {
    let folder = log.parentFolder
    var status = stat()
    guard stat(folder, &status) == 0 else { return nil }
    // Split a device number like the kernel's macros.
    let major = (status.st_dev >> 8) & 0xFFF | (status.st_dev >> 32) & ~0xFFF
    let minor = status.st_dev & 0xFF | (status.st_dev >> 12) & ~0xFF
    let type =
      fileSystem("\(major):\(minor)", in: read("/proc/self/mountinfo"))
      ?? LocalFileSystem.name(ofFolder: folder)
    guard let type, !LocalFileSystem.contains(type) else { return nil }
    return type
  }

  /// The type of the file system with this device number, from the table in `proc_pid_mountinfo(5)`
  /// format.
  static func fileSystem(_ device: String, in mounts: String) -> String? {
    for line in mounts.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 3, fields[2] == device, let dash = fields.firstIndex(of: "-"),
        dash + 1 < fields.count
      else { continue }
      return String(fields[dash + 1])
    }
    return nil
  }

  /// The file on a local disk that replaces a log on a network file system: always the same for the
  /// same log.
  ///
  /// - Throws: `LogError.cannotWrite` if no local disk is available.
  package static func standIn(for log: String) throws -> String {
    let path = fallbackPath(for: log)
    let folder = path.parentFolder
    for name in [folder.parentFolder, folder] where mkdir(name, 0o700) != 0 && errno != EEXIST {
      throw LogError.cannotWrite(path: log, reason: "\(name): \(String(cString: strerror(errno)))")
    }
    // In a folder that everyone may write to, another user may have created it first.
    var status = stat()
    guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
      status.st_uid == getuid(), status.st_mode & 0o022 == 0
    else {
      throw LogError.cannotWrite(path: log, reason: "\(folder) is not this user's own")
    }
    return path
  }

  package static func fallbackPath(for log: String) -> String {
    let real = realpath(log.parentFolder, nil)
    defer { free(real) }
    let absolute = (real.map { String(cString: $0) } ?? "") + "/" + log.lastPathComponent
    let hash = SHA256.hash(Array(absolute.utf8)).prefix(12)
    return localFolder + "/\(hash)-\(log.lastPathComponent)"
  }

  /// The name of this machine, for users who look for a log on another one.
  package static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "this host" }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// The user's folder for state or, if that is on a network as well, `/var/tmp` or `/tmp`.
  private static var localFolder: String {
    let home = getenv("HOME").map { String(cString: $0) } ?? ""
    let state = getenv("XDG_STATE_HOME").map { String(cString: $0) } ?? home + "/.local/state"
    if !home.isEmpty || !state.isEmpty, access(state, W_OK) == 0,
      networkFileSystem(of: state + "/x") == nil
    {
      return state + "/tasklog"
    }
    let temporary = ["/var/tmp", "/tmp"].first {
      access($0, W_OK) == 0 && networkFileSystem(of: $0 + "/x") == nil
    }
    return "\(temporary ?? "/var/tmp")/tasklog-\(getuid())"
  }

  private static func read(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 1 << 14)
    while case let count = Glibc.read(descriptor, &bytes, bytes.count), count > 0 {
      content += bytes[..<count]
    }
    return String(decoding: content, as: UTF8.self)
  }
}
