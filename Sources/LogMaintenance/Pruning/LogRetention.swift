import EventLog
import Glibc
import LogFormat

/// Removes runs, or segments of them, from logs by rules.
package struct LogRetention {
  /// Paths, templates for many logs, folders and patterns.
  package let logs: [String]
  package let rules: RetentionPolicy
  /// Whether the stories of failed tasks and of their dependencies stay.
  package let keepsFailures: Bool
  /// The paths that are left out of folders and patterns.
  package let omitted: Set<String>

  package init(
    logs: [String], rules: RetentionPolicy, keepsFailures: Bool, omitting omitted: Set<String> = []
  ) {
    (self.logs, self.rules, self.keepsFailures) = (logs, rules, keepsFailures)
    self.omitted = omitted
  }

  /// The files of all logs, each once; the last one of a folder may have been removed.
  ///
  /// - Throws: `LogError` if a folder cannot be read.
  private func paths() throws -> [String] {
    var seen = omitted
    return try logs.flatMap { name in
      do { return try ArchiveFiles.logs(name) } catch LogSetError.noLogs { return [] }
    }.filter { seen.insert($0).inserted }
  }

  /// A run to remove, with the number of its events.
  package struct Pruned {
    package var candidate: RetentionPolicy.Candidate
    package var reason: RetentionPolicy.Reason
    package var events: Int64

    var name: String { candidate.path + "#" + candidate.run.id }
  }

  /// Receives the progress of `prune`.
  package struct Progress {
    /// A log is going to be pruned of this number of events; the result is called with how many are done.
    package var begin: (_ events: Int64) -> (_ done: Int64?) -> Void = { _ in { _ in } }
    /// This number of bytes of a log is freed when no process reads it any more.
    package var pending: (_ path: String, _ bytes: Int64) -> Void = { _, _ in }
    /// Whether to stop before the next log.
    package var isStopped: () -> Bool = { false }

    package init() {}
  }

  /// The size of all logs.
  ///
  /// - Throws: `LogError` if a folder cannot be read.
  package func bytes() throws -> Int64 { bytes(try paths()) }

  private func bytes(_ paths: [String]) -> Int64 {
    paths.reduce(0) { $0 + LogPruning.bytes(of: $1) }
  }

  /// What the rules remove.
  ///
  /// - Throws: `LogError`.
  package func chosen() throws -> [Pruned] { try chosen(from: paths()) }

  private func chosen(from paths: [String]) throws -> [Pruned] {
    rules.choose(
      try paths.flatMap {
        try RetentionPolicy.candidates([$0], withEmpty: template(of: $0) != nil)
      }, bytes: bytes(paths)
    ).map { Pruned(candidate: $0.candidate, reason: $0.reason, events: $0.candidate.events) }
      .filter { $0.events > 0 || isRemovable($0.candidate.path) }
  }

  /// Removes it.
  ///
  /// - Throws: `LogError`.
  package func prune(_ progress: Progress = Progress()) throws -> [Pruned] {
    try reclaimLeftoverSpace()
    var done: [Pruned] = []
    // The new size of a log is only known afterwards, so this repeats while it is too large.
    while !progress.isStopped() {
      let doneNames = Set(done.map(\.name))
      // Some may be gone.
      let paths = try paths().filter { LogPruning.bytes(of: $0) > 0 }
      let chosen = try chosen(from: paths).filter { !doneNames.contains($0.name) }
      guard !chosen.isEmpty else { return done }
      let removed = try prune(chosen, progress)
      guard !removed.isEmpty else { return done }
      done += removed
    }
    return done
  }

  /// Frees the space that a killed process has left empty.
  private func reclaimLeftoverSpace() throws {
    for path in try paths() where try LogReader(path: path).freeBytes() > 0 {
      let pruning = try LogPruning(path: path)
      defer { pruning.close() }
      _ = try pruning.reclaimSpace()
    }
  }

  private func prune(_ chosen: [Pruned], _ progress: Progress) throws -> [Pruned] {
    var done: [Pruned] = []
    var paths: [String] = []
    for run in chosen where !paths.contains(run.candidate.path) { paths.append(run.candidate.path) }
    for path in paths where !progress.isStopped() {
      let selected = chosen.filter { $0.candidate.path == path }
      let others = files(besides: path)
      if !keepsFailures, isRemovable(path), try isAll(selected, path) {
        if try RunFileRemoval(path).remove(others: others) { done += selected }
        continue
      }
      done += try prune(selected, in: path, progress)
      // The file is empty: no task had failed.
      if isRemovable(path), try isAll([], path) {
        _ = try RunFileRemoval(path).remove(others: others)
      }
    }
    return done
  }

  /// The other segments of the run of a file.
  private func files(besides path: String) -> [String] {
    guard let template = template(of: path) else { return [] }
    let files = LogTemplate.files(template)
    let run = files.first { $0.path == path }?.run
    return files.filter { $0.run == run && $0.path != path }.map(\.path)
  }

  /// Whether an empty file may be removed. The last segment of a run that is kept in part must
  /// stay: it has the end of the run and the gap of its pruned events.
  private func isRemovable(_ path: String) -> Bool {
    guard let template = template(of: path) else { return false }
    let files = LogTemplate.files(template)
    guard let file = files.first(where: { $0.path == path }) else { return true }
    let parts = files.filter { $0.run == file.run }
    return parts.count == 1 || parts.last != file
  }

  /// The template that gave a file its name; `nil` if it is a file for many runs, or was named itself.
  private func template(of path: String) -> String? {
    guard !logs.contains(path), let template = LogTemplate.of(path) else { return nil }
    return logs.contains(template) || logs.contains(where: ArchiveFiles.isCollection)
      ? template : nil
  }

  private func isAll(_ chosen: [Pruned], _ path: String) throws -> Bool {
    let ids = Set(chosen.map(\.candidate.run.id))
    return try LogReader(path: path).runs().allSatisfy {
      $0.end != .running && (ids.contains($0.id) || $0.firstSeq == nil)
    }
  }

  private func prune(
    _ chosen: [Pruned], in path: String, _ progress: Progress
  ) throws -> [Pruned] {
    let pruning = try LogPruning(path: path)
    defer { pruning.close() }
    let show = progress.begin(chosen.reduce(0) { $0 + $1.candidate.events })
    defer { show(nil) }
    var before: Int64 = 0
    let done = try chosen.map { run in
      var run = run
      run.events = try pruning.prune(
        run.candidate.run, keepingFailures: keepsFailures, files: [path] + files(besides: path)
      ) { show(before + $0) }
      before += run.candidate.events
      return run
    }
    let pendingBytes = try pruning.reclaimSpace()
    if pendingBytes > 0 { progress.pending(path, pendingBytes) }
    return done
  }
}
