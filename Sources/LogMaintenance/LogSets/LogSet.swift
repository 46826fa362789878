import EventLog
import LogAnalysis
import LogFormat

/// The logs that a command was given, resolved to files and runs.
///
/// A name like `logs/{run}.db` stands for all segments of the selected run, which are merged into a
/// temporary log. Logs with parts of one run are merged, too, because several recorders may have
/// consumed the run from one queue. So is a log whose events did not arrive in order. Events that no
/// log has become gaps in the merged log.
package final class LogSet {
  /// The logs to read.
  package internal(set) var parts: [Part] = []
  /// One log for each name; one for each file with `Mode.files`.
  package internal(set) var named: [Part] = []
  /// The name of all files if they are the consecutive segments of one run, with `Mode.files`.
  package private(set) var template: String?

  let environment: Environment
  let scratch: ScratchFolder
  var rotated: [RotatedRunFiles] = []
  /// The jobs that were selected instead of whole runs, by the ID of their run.
  package internal(set) var jobs: [String: [Job]] = [:]
  /// Merged logs in the user's cache folder.
  var kept: [JoinedLogs.Kept] = []
  /// Marks a run that is still running in one of the logs as running in the merged log, too.
  var locks: [RecorderLock] = []

  /// - Parameters:
  ///   - names: paths of logs, or templates: see `LogTemplate`.
  ///   - selector: see `RunSelector`. Of a folder or pattern it selects among the runs of all its logs.
  ///   - choose: selects runs instead.
  ///   - follows: follows a live run into its next segments.
  ///   - restoresOrder: also restores the order in a single log whose events arrived out of order.
  ///   - recordsMissingAsGaps: records events that no log has as gaps.
  /// - Throws: `LogError`, `LogSetError`, and what the environment throws.
  package static func resolve(
    _ names: [String], runs selector: String, choosing choose: RunChoice? = nil,
    mode: Mode, follows: Bool = false, restoresOrder: Bool = true,
    recordsMissingAsGaps: Bool = true, environment: Environment = Environment()
  ) throws -> LogSet {
    let logs = LogSet(environment)
    if choose != nil || names.contains(where: ArchiveFiles.isCollection) {
      if follows { throw LogSetError.cannotFollow(name: names.joined(separator: ", ")) }
      let runs = try logs.chosen(names, selector, choose)
      try logs.add(runs, mode)
      try logs.merge(
        mode, restoresOrder: restoresOrder, recordsMissingAsGaps: recordsMissingAsGaps)
      return logs
    }
    for name in names {
      let files = try NamedFiles(name, runs: selector)
      if mode == .files {
        try logs.add(files, of: name, follows: follows, isOnly: names.count == 1)
      } else {
        logs.named.append(try logs.merged(files, of: name, follows: follows))
      }
    }
    logs.parts = logs.named
    try logs.merge(
      mode, restoresOrder: restoresOrder, recordsMissingAsGaps: recordsMissingAsGaps)
    return logs
  }

  private init(_ environment: Environment) {
    self.environment = environment
    scratch = ScratchFolder(willCreate: environment.willCreateScratch)
  }

  /// A log that is resolved already.
  package convenience init(_ part: Part, environment: Environment = Environment()) {
    self.init(environment)
    (named, parts) = ([part], [part])
  }

  deinit { remove() }

  /// Removes the temporary files.
  package func remove() {
    locks.removeAll()
    scratch.remove()
    for files in rotated { files.close() }
    rotated.removeAll()
    kept.removeAll()
  }

  /// Whether following ended before the run did.
  package var hasFailed: Bool { rotated.contains { $0.hasFailed } }

  /// A reader of the first part, for callers that need a single log.
  ///
  /// - Throws: `LogError`.
  package func reader() throws -> LogReader { try parts[0].reader() }

  // MARK: - Names

  private func add(_ files: NamedFiles, of name: String, follows: Bool, isOnly: Bool) throws {
    for path in files.paths.isEmpty ? [name] : files.paths {
      try environment.prepare(path)
      named.append(Part(path: path, selector: files.selector))
    }
    if files.runCount > 1, follows { throw LogSetError.severalRunsToFollow(template: name) }
    if isOnly, files.runCount == 1 { template = name }
  }

  /// The log of one name: its only file, or the merged segments of rotated runs.
  private func merged(_ files: NamedFiles, of name: String, follows: Bool) throws -> Part {
    let paths = files.paths.isEmpty ? [name] : files.paths
    for path in paths { try environment.prepare(path) }
    var part = Part(path: paths[0], selector: files.selector)
    guard files.isTemplate, !files.paths.isEmpty,
      try paths.count > 1 || follows && Self.mayGrow(paths[0], name)
    else { return part }
    part.path = try joined(paths, of: name, follows: follows)
    (part.name, part.segments) = (name, paths)
    return part
  }

  /// The path of the merged segments of rotated runs.
  func joined(_ paths: [String], of name: String, follows: Bool) throws -> String {
    let key = environment.keepsJoined && !follows ? JoinedLogs.Key("segments", paths) : nil
    if let key, let known = JoinedLogs.find(key) {
      kept.append(known)
      return known.path
    }
    let merged = try RotatedRunFiles(name, paths, follows: follows, environment)
    rotated.append(merged)
    guard let key, let path = merged.finished(), let new = JoinedLogs.keep(key, path) else {
      return merged.path
    }
    kept.append(new)
    return new.path
  }

  /// Whether more events may arrive: the run is live, or a next segment has just been started.
  private static func mayGrow(_ path: String, _ template: String) throws -> Bool {
    try LogReader(path: path).runs().contains { $0.end == .running }
      || SegmentFollower.next(after: path, template) != nil
  }

  // MARK: - Segments

  /// The segment in which a run continues; `nil` if there is none. With `Mode.files`.
  package func nextSegment(after part: Part) -> Part? {
    guard let template, let path = SegmentFollower.next(after: part.path, template) else {
      return nil
    }
    return Part(path: path, selector: RunSelector.latest.text)
  }

  /// All runs of a template, each with its segments.
  ///
  /// - Throws: `LogError`, and what the environment throws.
  package static func segments(
    of template: String, environment: Environment = Environment()
  ) throws -> [[RunSegment]] {
    while true {
      let files = try resolve([template], runs: "all", mode: .files, environment: environment)
      let runs = try RunSegment.runs(in: files.parts.map { try $0.reader() })
      // A new segment may have been started meanwhile; without it a live run looks ended.
      let paths = try NamedFiles(template, runs: "all").paths
      if paths.isEmpty || paths == files.parts.map(\.path) { return runs }
    }
  }
}
