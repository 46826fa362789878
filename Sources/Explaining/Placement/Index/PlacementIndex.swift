import EventLog
import Glibc
import LogFormat
import Replaying
import Scheduling
import TaskLogPlugin

/// The indexes of the choices of workers in runs, as files in a cache: with one, *why there* is said
/// without rebuilding the state of the scheduler.
///
/// They may be deleted at any time. An index is for one file of a log, run, scheduler and version of this
/// program.
package struct PlacementIndex {
  /// The number of indexes kept.
  package static let mostFiles = 64
  /// The number of their bytes.
  private static let mostBytes = 2 << 30
  /// The state of a scheduler is rebuilt from fewer events in a moment.
  package static let leastEvents: Int64 = 1000

  private let folder: String

  /// - Parameter folder: exists and is private to the user.
  package init(folder: String) { self.folder = folder }

  /// - Returns: the index of the user, or why there is no folder for it.
  package static func make() -> Result<PlacementIndex, CacheFolder.Failure> {
    CacheFolder.make("placements").map(PlacementIndex.init(folder:))
  }

  /// `nil` if the user has no folder for it.
  package static func ofUser() -> PlacementIndex? { try? make().get() }

  private func name(_ reader: LogReader, _ run: RunInfo, _ source: SourceInfo) throws -> String? {
    // A copy of a log may be another one, such as an anonymous one, with the same run.
    var file = stat()
    guard stat(reader.path, &file) == 0 else { return nil }
    let log = "\(try reader.logIdentity()) \(file.st_dev) \(file.st_ino)"
    let parts = [log, run.id, source.source.id, ProgramIdentity.text]
    // The IDs of an untrusted log may be any text, so they are hashed.
    return String(SHA256.hash(Array(parts.joined(separator: "\n").utf8)).prefix(40))
  }

  // MARK: - Reading

  /// The index of a scheduler, if there is one that has an event; `nil` if not.
  ///
  /// - Throws: `LogError`.
  func file(
    _ reader: LogReader, _ run: RunInfo, _ source: SourceInfo, through seq: Int64
  ) throws -> PlacementIndexFile? {
    guard let name = try name(reader, run, source) else { return nil }
    guard let file = PlacementIndexFile("\(folder)/\(name)"), file.end.name == name,
      file.end.through >= seq
    else { return nil }
    let end = try PlacementIndexEnd(
      name, reader, source, last: file.end.sourceSeq, through: file.end.through)
    return end == file.end ? file : nil
  }

  // MARK: - Writing

  /// Writes the index of a run, unless it exists.
  ///
  /// - Parameter progress: is called with the number of events read, now and then.
  /// - Returns: why one could not be written; `nil` if all have been.
  /// - Throws: `LogError`.
  package func build(
    _ reader: LogReader, _ run: RunInfo, progress: @escaping (Int64) -> Void = { _ in }
  ) throws -> String? {
    for walk in try PlacementWalk.walks(reader, run) {
      if let reason = try build(walk, reader, run, progress) { return reason }
    }
    return nil
  }

  private func build(
    _ walk: PlacementWalk, _ reader: LogReader, _ run: RunInfo,
    _ progress: @escaping (Int64) -> Void
  ) throws -> String? {
    guard let name = try name(reader, run, walk.source) else { return "the log is not a file" }
    guard let last = try reader.last(of: walk.source) else { return nil }
    let existing = try file(reader, run, walk.source, through: 0)
    if existing?.end.sourceSeq == last.sourceSeq { return nil }
    let sink = PlacementIndexSink("\(folder)/\(name)")
    defer { sink.cancel() }
    if let reason = sink.reason { return reason }
    let rules = walk.rules()
    let writer = PlacementIndexWriter(rules) { sink.write($0) }
    var read = (sourceSeq: Int64(0), seq: Int64(0))
    try walk.run(rules, through: last.seq) { recorded in
      read = (recorded.sourceSeq, recorded.seq)
      if recorded.seq & 0xFFF == 0 { progress(recorded.seq - (run.firstSeq ?? 0)) }
      writer.mark(recorded.event)
    } after: {
      writer.mark($0.event)
    } placement: {
      writer.add($0, $1)
    } steal: {
      writer.add($0, ofKey: $1.keyNumber)
    }
    writer.flush()
    let through = writer.isEnded ? writer.lastSeq : read.seq
    guard
      let end = try PlacementIndexEnd(
        name, reader, walk.source, last: read.sourceSeq, through: through)
    else { return "the log has changed meanwhile" }
    if let reason = sink.finish(end) { return reason }
    removeOld()
    return nil
  }

  /// Removes the index of a run.
  ///
  /// - Throws: `LogError`.
  package func remove(_ reader: LogReader, _ run: RunInfo) throws {
    for walk in try PlacementWalk.walks(reader, run) {
      if let name = try name(reader, run, walk.source) { unlink("\(folder)/\(name)") }
    }
  }

  /// Removes what killed processes have not finished, and the oldest indexes.
  private func removeOld() {
    CacheFile.removeUnfinished(in: folder)
    var files: [(path: String, time: Int, size: Int)] = []
    for name in (try? FolderListing.names(folder)) ?? []
    where !name.hasPrefix(".") && !name.hasSuffix(CacheFile.unfinishedSuffix) {
      let path = "\(folder)/\(name)"
      var status = stat()
      if lstat(path, &status) == 0 {
        files.append((path, status.st_mtim.tv_sec, Int(status.st_size)))
      }
    }
    files.sort { $0.time > $1.time }
    var bytes = 0
    for (index, file) in files.enumerated() {
      bytes += file.size
      if index >= Self.mostFiles || index > 0 && bytes > Self.mostBytes { unlink(file.path) }
    }
  }
}
