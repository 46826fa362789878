import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording

/// A log that a command reads, resolved from its name.
///
/// A name like `logs/{run}.db` stands for all segments of the selected run; several segments are
/// merged, see `RotatedRunFiles`.
struct ResolvedLog {
  /// The path of the file to read.
  var path: String
  /// The name to show.
  var name: String
  /// The selector of its runs.
  var selector: String
  /// The segments that were merged; empty if none were.
  private(set) var files: [String] = []
  private(set) var isJoined = false
  private var joined: RotatedRunFiles?

  /// - Parameters:
  ///   - isRecovering: recovers the spools of dead recorders first.
  ///   - follows: follows a live run into its next segments.
  /// - Throws: `LogError`, `Failure`.
  init(
    _ logName: String, run selector: String, isRecovering: Bool = true, follows: Bool = false
  ) throws {
    let resolver = try RotatedRunResolver(logName, run: selector)
    let paths = resolver?.paths ?? []
    if isRecovering {
      for path in paths.isEmpty ? [logName] : paths { _ = try LogOptions.recovered(path) }
    }
    self.selector = resolver?.selector ?? selector
    path = paths.first ?? logName
    name = path
    guard try paths.count > 1 || !paths.isEmpty && follows && Self.mayGrow(path, logName) else {
      return
    }
    let joined = try RotatedRunFiles(logName, paths, follows: follows)
    (path, name, files, isJoined) = (joined.path, logName, paths, true)
    self.joined = joined
  }

  /// Whether more events may arrive: the run is live, or a next segment has just been started.
  private static func mayGrow(_ path: String, _ logName: String) throws -> Bool {
    try LogReader(path: path).runs().contains { $0.end == .running }
      || SegmentFollower.next(after: path, logName) != nil
  }

  /// Removes the temporary files of the command.
  func close() { joined?.close() }

  /// Whether following ended before the run did.
  var hasFailed: Bool { joined?.hasFailed ?? false }

  // MARK: - Child processes

  private static let variable = "TASKLOG_RESOLVED_LOG"

  /// Passes the selection to child processes.
  func exportSelection() {
    if isJoined { setenv(Self.variable, "\(selector)\n\(path)", 1) }
  }

  /// The selection passed by the parent process, or `nil`.
  static func inheritedSelection(_ logName: String) -> ResolvedLog? {
    guard let text = getenv(variable).map({ String(cString: $0) }),
      let end = text.firstIndex(of: "\n")
    else { return nil }
    unsetenv(variable)
    return ResolvedLog(
      path: String(text[text.index(after: end)...]), name: logName, selector: String(text[..<end]))
  }

  private init(path: String, name: String, selector: String) {
    (self.path, self.name, self.selector) = (path, name, selector)
    isJoined = true
  }
}

/// The files of the selected runs of a name template.
struct RotatedRunResolver {
  /// The paths in the order of recording.
  var paths: [String]
  /// The selector of the runs in them.
  var selector: String
  /// The number of runs in them.
  var runs: Int

  /// `nil` for a name that is not a template.
  ///
  /// - Throws: `LogError` if there is no such run.
  init?(_ logName: String, run selector: String) throws {
    guard LogTemplate.isTemplate(logName) else { return nil }
    // A file that is being created is still empty.
    let files = LogTemplate.files(logName).filter { LogPruning.bytes(of: $0.path) > 0 }
    var ids: [String] = []
    for file in files where ids.last != file.run { ids.append(file.run) }
    let selected = try Self.choose(selector, of: ids, logName)
    paths = files.filter { selected.contains($0.run) }.map(\.path)
    runs = selected.count
    self.selector = selector == "all" ? "all" : "latest"
  }

  private static func choose(
    _ selector: String, of ids: [String], _ logName: String
  ) throws -> Set<String> {
    guard let latest = ids.last else { return [] }
    switch selector {
    case "latest": return [latest]
    case "all": return Set(ids)
    default: break
    }
    let matches =
      selector.hasPrefix("#")
      ? ids.indices.filter { "#\($0 + 1)" == selector }.map { ids[$0] }
      : ids.filter { !selector.isEmpty && $0.hasPrefix(selector) }
    guard !matches.isEmpty else { throw LogError.unknownRun(path: logName, run: selector) }
    guard matches.count == 1 else {
      throw LogError.ambiguousRun(path: logName, run: selector, count: matches.count)
    }
    return Set(matches)
  }
}
