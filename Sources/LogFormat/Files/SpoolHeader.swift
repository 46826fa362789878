import Glibc

/// The header of a spool's files: to which log the spool belongs, and how far that log had come.
///
/// A spool is next to its log, and found by the id of a run. A log that names the run of another one
/// must not get that one's events, and a log that was restored from an older copy must not pass for
/// complete.
package struct SpoolHeader: Sendable, Equatable {
  /// Offsets of words in the header of each file. 0 stands for none: what earlier versions wrote.
  package enum Offset {
    /// `LogIdentity` of the log.
    package static let log = 24
    /// The same of the log that the recorder is about to continue in.
    package static let nextLog = 32
    /// The last seq that was assigned in the log when it was last committed to; in the first control file.
    package static let committed = 40
  }

  package static let size = 64
  /// The name of the first control file.
  package static let control = "control"
  /// "tlspool" and the version.
  package static let magic: UInt64 = 0x746C_7370_6F6F_6C01

  package var log: UInt64
  package var nextLog: UInt64
  package var committed: UInt64

  /// The header of a file; `nil` if it is not one of a spool.
  package init?(_ path: String) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    var words = [UInt64](repeating: 0, count: Self.size / 8)
    let count = words.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    guard count == Self.size, words[0] == Self.magic else { return nil }
    log = words[Offset.log / 8]
    nextLog = words[Offset.nextLog / 8]
    committed = words[Offset.committed / 8]
  }

  /// How many events a log lacks that had been committed to it: a copy without its write-ahead log, a disk
  /// that has lost its last writes.
  ///
  /// - Parameters:
  ///   - identity: that of the log; 0 if it has none.
  ///   - seq: the last one that was assigned in the log.
  package func missing(from identity: UInt64, lastSeq seq: Int64) -> Int64 {
    // While a recorder rotates, it is unknown whose seq this is.
    guard log == nextLog, log == identity || log != 0 && identity == 0,
      let committed = Int64(exactly: committed), seq >= 0
    else { return 0 }
    return max(0, committed - seq)
  }

  /// Whether the spool can belong to a log.
  ///
  /// - Parameter identity: that of the log; 0 if it has none.
  package func belongs(to identity: UInt64) -> Bool {
    log == 0 || identity == 0 || log == identity || nextLog == identity
  }
}

/// Whose spools are recovered: those of the reader and of the owner of the log. Anybody else who may
/// write to the folder of a log could forge events, or lead to files of the reader by links.
package struct SpoolOwners {
  private let owners: Set<uid_t>

  package init(ofLog path: String) {
    var status = stat()
    owners = stat(path, &status) == 0 ? [geteuid(), status.st_uid] : [geteuid()]
  }

  /// Why the folder of a run's recorder is not trusted; `nil` if it is, or does not exist.
  package func objection(log path: String, run: String) -> String? {
    let parent = RecorderLock.parent(ofLog: path)
    guard let folder = RecorderLock.folder(log: path, run: run) else { return nil }
    for path in [parent, folder] {
      var status = stat()
      guard lstat(path, &status) == 0 else { return nil }
      if let objection = objection(path, status, S_IFDIR) { return objection }
    }
    for name in (try? FolderListing.names(folder)) ?? [] {
      let file = folder + "/" + name
      var status = stat()
      guard lstat(file, &status) == 0 else { continue }
      if let objection = objection(file, status, S_IFREG) { return objection }
    }
    return nil
  }

  private func objection(_ path: String, _ status: stat, _ kind: mode_t) -> String? {
    let isFolder = kind == S_IFDIR
    if status.st_mode & S_IFMT == S_IFLNK { return "\(path) is a link" }
    guard status.st_mode & S_IFMT == kind else {
      return "\(path) is not a \(isFolder ? "folder" : "file")"
    }
    guard owners.contains(status.st_uid) else {
      return "\(path) belongs to user \(status.st_uid), and not to you or to the owner of the log"
    }
    guard status.st_mode & S_IWOTH == 0 else { return "\(path) can be written by everybody" }
    return nil
  }
}
