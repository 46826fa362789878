import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording

/// The log that a command asks.
///
/// A name like `logs/{run}.db` stands for the files of the run that is wanted, all of them: where there
/// are several they are put together, see `RotatedRunFiles`.
struct ResolvedLog {
  /// The file to read.
  var path: String
  /// What it is called.
  var name: String
  /// Which of its runs are wanted.
  var selector: String
  /// The files that it was put together from, where it was.
  private(set) var files: [String] = []
  private(set) var isJoined = false
  private var joined: RotatedRunFiles?

  /// - Parameters:
  ///   - isRecovering: what dead recorders have left beside it is put into it before.
  ///   - follows: a run that goes on is to be followed into its next files.
  /// - Throws: `LogError`, `Failure`.
  init(
    _ given: String, run selector: String, isRecovering: Bool = true, follows: Bool = false
  ) throws {
    let names = try RotatedRunResolver(given, run: selector)
    let paths = names?.paths ?? []
    if isRecovering {
      for path in paths.isEmpty ? [given] : paths { _ = try LogOptions.recovered(path) }
    }
    self.selector = names?.selector ?? selector
    path = paths.first ?? given
    name = path
    guard try paths.count > 1 || !paths.isEmpty && follows && Self.goesOn(path, given) else {
      return
    }
    let joined = try RotatedRunFiles(given, paths, follows: follows)
    (path, name, files, isJoined) = (joined.path, given, paths, true)
    self.joined = joined
  }

  /// Whether something may come that is not in a file: it may have become the last but one just now.
  private static func goesOn(_ path: String, _ given: String) throws -> Bool {
    try LogReader(path: path).runs().contains { $0.end == .running }
      || SegmentFollower.next(after: path, given) != nil
  }

  /// What is only there for the command goes.
  func close() { joined?.close() }

  /// Whether what comes was not seen to its end.
  var hasFailed: Bool { joined?.hasFailed ?? false }

  // MARK: - A process that does the work

  private static let variable = "TASKLOG_RESOLVED_LOG"

  /// Lets a process that is started from here ask the same log.
  func exportSelection() {
    if isJoined { setenv(Self.variable, "\(selector)\n\(path)", 1) }
  }

  /// The log that the process which has started this one has handed down.
  static func inheritedSelection(_ given: String) -> ResolvedLog? {
    guard let text = getenv(variable).map({ String(cString: $0) }),
      let end = text.firstIndex(of: "\n")
    else { return nil }
    unsetenv(variable)
    return ResolvedLog(
      path: String(text[text.index(after: end)...]), name: given, selector: String(text[..<end]))
  }

  private init(path: String, name: String, selector: String) {
    (self.path, self.name, self.selector) = (path, name, selector)
    isJoined = true
  }
}

/// The files that a name for many logs stands for when some of its runs are wanted.
struct RotatedRunResolver {
  /// In the order of recording.
  var paths: [String]
  /// Which of the runs in them.
  var selector: String
  /// How many runs they hold.
  var runs: Int

  /// Nothing for the name of one log.
  ///
  /// - Throws: `LogError` when there is no such run.
  init?(_ given: String, run selector: String) throws {
    guard LogTemplate.isTemplate(given) else { return nil }
    // One that is just being made holds nothing yet.
    let files = LogTemplate.files(given).filter { LogPruning.bytes(of: $0.path) > 0 }
    var ids: [String] = []
    for file in files where ids.last != file.run { ids.append(file.run) }
    let wanted = try Self.choose(selector, of: ids, given)
    paths = files.filter { wanted.contains($0.run) }.map(\.path)
    runs = wanted.count
    self.selector = selector == "all" ? "all" : "latest"
  }

  private static func choose(
    _ selector: String, of ids: [String], _ given: String
  ) throws -> Set<String> {
    guard let latest = ids.last else { return [] }
    switch selector {
    case "latest": return [latest]
    case "all": return Set(ids)
    default: break
    }
    let found =
      selector.hasPrefix("#")
      ? ids.indices.filter { "#\($0 + 1)" == selector }.map { ids[$0] }
      : ids.filter { !selector.isEmpty && $0.hasPrefix(selector) }
    guard !found.isEmpty else { throw LogError.unknownRun(path: given, run: selector) }
    guard found.count == 1 else {
      throw LogError.ambiguousRun(path: given, run: selector, count: found.count)
    }
    return Set(found)
  }
}
