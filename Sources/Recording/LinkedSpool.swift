import EventLog
import Glibc
import LogFormat

/// A link in the place of a spool's folder.
///
/// A recorder that rotates leaves one for a moment: the folder is then next to the previous or the
/// next segment. A link is never followed, because in a folder that others may write to it can lead
/// to the spool of any log. Instead, the log next to which it leads is recovered as if it had been
/// named.
struct LinkedSpool {
  let run: String
  let folder: String
  let writer: LogWriter

  /// - Throws: `LogError`, `SQLiteError`.
  func recover() throws -> Recovery.Recovered? {
    var recovered: Recovery.Recovered?
    if let path = segment {
      recovered = try recover(segment: path)
      if recovered?.objection != nil { return recovered }
    }
    guard access(folder, F_OK) != 0 else {
      return .init(run: run, events: 0, missing: 0, objection: "\(folder) is a link")
    }
    if let current = try writer.openRuns().first(where: { $0.id == run }),
      try !writer.isPartial(run: current.number)
    {
      try writer.transaction { try writer.endAsDied(run: current.number) }
    }
    return recovered
  }

  private func recover(segment path: String) throws -> Recovery.Recovered? {
    // Throws if it is no log, instead of creating one.
    guard try LogReader(path: path).runs().contains(where: { $0.id == run && !$0.isEndInLog })
    else { return nil }
    let other = try LogWriter(path: path)
    defer { other.close() }
    return try other.openRuns().first { $0.id == run }.flatMap { try Recovery.recover($0, other) }
  }

  /// The log of another segment in the same folder, next to which the spool is; `nil` if the link is
  /// not one of a recorder.
  private var segment: String? {
    var target = [UInt8](repeating: 0, count: 4096)
    let count = readlink(folder, &target, target.count)
    guard count > 0, count < target.count else { return nil }
    let words = String(decoding: target[..<count], as: UTF8.self)
      .split(separator: "/", omittingEmptySubsequences: false)
    guard words.count == 3, words[0] == "..", words[2] == run, words[1].hasSuffix(".spool") else {
      return nil
    }
    let name = String(words[1].dropLast(".spool".count))
    guard UntrustedName.isFileName(name), name != writer.path.lastPathComponent else { return nil }
    let path = writer.path.sibling(name)
    var status = stat()
    // A real folder, so that this comes to an end.
    guard let folder = RecorderLock.folder(log: path, run: run), lstat(folder, &status) == 0,
      status.st_mode & S_IFMT == S_IFDIR, access(path, F_OK) == 0
    else { return nil }
    return path
  }
}
