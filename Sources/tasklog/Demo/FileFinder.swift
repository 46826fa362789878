import Glibc
import LogFormat

/// A file that the demo counts.
struct FoundFile: Sendable {
  /// The path within the folder, as the system's bytes: any except NUL.
  var path: [UInt8]

  /// The path as text; invalid UTF-8 is replaced.
  var name: String { String(decoding: path, as: UTF8.self) }
}

/// Finds the files that the demo counts.
enum FileFinder {
  /// The identity of a file, independent of its path.
  private struct Identity: Hashable {
    var device: UInt64
    var file: UInt64
  }

  /// The files below a folder, in order. Hidden ones, links, and a log with its companions are
  /// skipped.
  ///
  /// - Throws: `Failure` if the folder itself cannot be read.
  static func files(below folder: String, log: String) throws -> [FoundFile] {
    guard !folder.isEmpty else { throw Failure.run("--input '': expected a folder") }
    var status = stat()
    guard stat(folder, &status) == 0 else {
      throw Failure.run(
        errno == ENOENT
          ? "\(folder): no such folder; name another with --input"
          : "\(folder): cannot be read: \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure.run("\(folder): is not a folder; name one with --input")
    }
    let skipped = companions(ofLog: log)
    var files: [FoundFile] = []
    var folders: [[UInt8]] = [[]]
    while let path = folders.popLast() {
      let names: [[UInt8]]
      do {
        names = try FolderListing.bytes(fullPath(folder, path))
      } catch {
        if path.isEmpty { throw Failure.run("\(folder): cannot be read: \(error)") }
        Console.warn("\(FoundFile(path: path).name): skipped: \(error)")
        continue
      }
      for name in names where name.first != UInt8(ascii: ".") {
        let inner = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
        guard let status = linkStatus(fullPath(folder, inner)),
          !skipped.contains(identity(status))
        else { continue }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: folders.append(inner)
        case S_IFREG: files.append(FoundFile(path: inner))
        default: break
        }
      }
    }
    return files.sorted { $0.path.lexicographicallyPrecedes($1.path) }
  }

  /// A zero-terminated path for the system's functions.
  static func fullPath(_ folder: String, _ path: [UInt8]) -> [CChar] {
    let bytes = path.isEmpty ? Array(folder.utf8) : Array(folder.utf8) + [0x2F] + path
    return (bytes + [0]).map { CChar(bitPattern: $0) }
  }

  private static func linkStatus(_ path: [CChar]) -> stat? {
    var status = stat()
    return lstat(path, &status) == 0 ? status : nil
  }

  private static func identity(_ status: stat) -> Identity {
    Identity(device: UInt64(status.st_dev), file: UInt64(status.st_ino))
  }

  /// The existing files of a log: the file, SQLite's companion files and the recorder's folder.
  private static func companions(ofLog log: String) -> Set<Identity> {
    var paths = [log]
    if let resolved = realpath(log, nil) {
      paths.append(String(cString: resolved))
      free(resolved)
    }
    var identities: Set<Identity> = []
    for path in paths {
      let companions =
        [path, path + "-journal", RecorderLock.parent(ofLog: path)] + WALPolicy.companions(of: path)
      for file in companions {
        var status = stat()
        if stat(file, &status) == 0 { identities.insert(identity(status)) }
      }
    }
    return identities
  }
}
