import EventLog
import Glibc
import LogFormat

/// Removes runs, or segments of them, from logs by rules.
package struct LogRetention {
  package let rules: RetentionPolicy
  /// Whether the stories of failed tasks and of their dependencies stay.
  package let keepsFailures: Bool
  private let names: [String]
  /// Whether folders and patterns stand for many logs.
  private let isExpanding: Bool
  /// Called with a log that cannot be read or changed, and is left out; without it that ends the pruning.
  private let omit: ((_ path: String, _ error: any Error) -> Void)?
  private let omitted = Omitted()

  private final class Omitted {
    var paths: Set<String> = []
  }

  /// - Parameter log: a path, or a template for many logs.
  package init(log: String, rules: RetentionPolicy, keepsFailures: Bool) {
    (names, isExpanding, omit) = ([log], false, nil)
    (self.rules, self.keepsFailures) = (rules, keepsFailures)
  }

  /// - Parameters:
  ///   - names: paths, templates, folders and patterns.
  ///   - omit: called with a log that cannot be read or changed, if there are several.
  package init(
    names: [String], rules: RetentionPolicy, keepsFailures: Bool,
    omit: @escaping (_ path: String, _ error: any Error) -> Void
  ) throws {
    (self.names, isExpanding) = (names, true)
    (self.rules, self.keepsFailures) = (rules, keepsFailures)
    self.omit = try ArchiveFiles.logs(of: names, isWriting: true).count > 1 ? omit : nil
  }

  /// The files of all logs, each once; the last one of a folder may have been removed.
  ///
  /// - Throws: `LogError` if a folder cannot be read.
  package func paths() throws -> [String] {
    guard isExpanding else { return names.flatMap(LogTemplate.all) }
    do {
      let paths = try ArchiveFiles.logs(of: names, isWriting: true)
      return paths.filter { !omitted.paths.contains($0) }
    } catch LogSetError.noLogs {
      return []
    }
  }

  /// Does something with a log; `nil` if that fails, and others go on.
  ///
  /// - Throws: what the body throws, for a single log.
  package func attempt<Result>(_ path: String, _ body: () throws -> Result) throws -> Result? {
    guard let omit else { return try body() }
    do {
      return try body()
    } catch {
      if omitted.paths.insert(path).inserted { omit(path, error) }
      return nil
    }
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
      try paths.flatMap { path in
        try attempt(path) {
          try RetentionPolicy.candidates([path], withEmpty: template(of: path) != nil)
        } ?? []
      }, bytes: bytes(paths)
    ).map { Pruned(candidate: $0.candidate, reason: $0.reason, events: $0.candidate.events) }
      .filter { $0.events > 0 || isRemovable($0.candidate.path) }
  }

  /// Removes it.
  ///
  /// - Throws: `LogError`.
  package func prune(_ progress: Progress = Progress()) throws -> [Pruned] {
    // They have what is removed.
    defer { JoinedLogs.removeOld() }
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
    for path in try paths() {
      _ = try attempt(path) {
        guard try LogReader(path: path).freeBytes() > 0 else { return }
        let pruning = try LogPruning(path: path)
        defer { pruning.close() }
        _ = try pruning.reclaimSpace()
      }
    }
  }

  private func prune(_ chosen: [Pruned], _ progress: Progress) throws -> [Pruned] {
    var done: [Pruned] = []
    var paths: [String] = []
    for run in chosen where !paths.contains(run.candidate.path) { paths.append(run.candidate.path) }
    for path in paths where !progress.isStopped() {
      let selected = chosen.filter { $0.candidate.path == path }
      done += try attempt(path) { try remove(selected, from: path, progress) } ?? []
    }
    return done
  }

  private func remove(
    _ selected: [Pruned], from path: String, _ progress: Progress
  ) throws -> [Pruned] {
    let others = files(besides: path)
    if !keepsFailures, isRemovable(path), try isAll(selected, path) {
      return try RunFileRemoval(path).remove(others: others) ? selected : []
    }
    let done = try prune(selected, in: path, progress)
    // The file is empty: no task had failed.
    if isRemovable(path), try isAll([], path) {
      _ = try RunFileRemoval(path).remove(others: others)
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
    // A name that has the ID of a run does not say that there is no other run.
    guard let runs = try? LogReader(path: path).runs(), runs.count <= 1 else { return false }
    let parts = files.filter { $0.run == file.run }
    return parts.count == 1 || parts.last != file
  }

  /// The template that gave a file its name; `nil` if it is a file for many runs, or was named itself.
  private func template(of path: String) -> String? {
    guard !names.contains(path), let template = LogTemplate.of(path) else { return nil }
    return names.contains(template)
      || isExpanding && names.contains(where: ArchiveFiles.isCollection)
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
    let show = progress.begin(chosen.reduce(0) { $0 + $1.candidate.run.seqCount })
    defer { show(nil) }
    let removed = try pruning.prune(
      chosen.map(\.candidate.run), keepingFailures: keepsFailures,
      files: [path] + files(besides: path)
    ) { show($0) }
    let done = zip(chosen, removed).map { run, events in
      var run = run
      run.events = events
      return run
    }
    let pendingBytes = try pruning.reclaimSpace()
    if pendingBytes > 0 { progress.pending(path, pendingBytes) }
    return done
  }
}
