import ArgumentParser
import EventLog
import Explaining
import LogFormat

struct IndexCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "index", abstract: "Build the indexes that speed up queries of a large log.",
    discussion: """
      Builds the indexes on states and stimuli, which take about a ninth of the size of the log. \
      The index on keys always exists. The index on failures is built by the recorder at the end \
      of a run, if the log is small enough for that to take little time.

      It also reads each run of a thousand events or more once from start to end, and keeps what the \
      choices of workers depended on (of 64 runs at most) in the cache of the user ($XDG_CACHE_HOME/tasklog, else \
      ~/.cache/tasklog): 'tasklog explain' then says at once why a task was put on its worker.

      Examples:
        tasklog index
        tasklog index --log . --drop
      """)

  @OptionGroup var logs: LogsOptions

  @Flag(help: "Remove the indexes instead.")
  var drop = false

  func run() throws {
    try LogsOptions.forEach(logs.given) { path in
      // Throws if the file is not a log, instead of creating one.
      _ = try LogReader(path: LogOptions.recovered(path))
      let writer = try LogWriter(path: path)
      defer { writer.close(isIndexing: false) }
      if drop { try writer.dropIndexes() } else { try writer.buildIndexes() }
      try Self.indexPlacements(path, isDropping: drop)
    }
  }

  private static func indexPlacements(_ path: String, isDropping: Bool) throws {
    guard let index = PlacementIndex.ofUserOrWarning() else { return }
    let reader = try LogReader(path: path)
    let runs = try reader.runs(matching: "all")
    if isDropping {
      for run in runs { try index.remove(reader, run) }
      return
    }
    let large = runs.filter { $0.seqCount >= PlacementIndex.leastEvents }
    for run in large.suffix(PlacementIndex.mostFiles) { try index.buildVisibly(reader, run) }
    if large.count > PlacementIndex.mostFiles {
      Console.warn(
        "\(path): the choices of workers are kept of the last \(PlacementIndex.mostFiles) of "
          + "\(Units.count(Int64(large.count), "run"))")
    }
  }
}

extension PlacementIndex {
  /// The index of the user; `nil` after a warning if there is no folder for it.
  static func ofUserOrWarning() -> PlacementIndex? {
    switch make() {
    case .success(let index): return index
    case .failure(let failure):
      Console.warn("the choices of workers are not kept: \(failure.reason)")
      return nil
    }
  }

  /// Builds the index of a run with a progress bar, and warns if it cannot be kept.
  ///
  /// - Throws: `LogError`.
  func buildVisibly(_ reader: LogReader, _ run: RunInfo) throws {
    var bar = ProgressBar(total: run.seqCount, noun: "events")
    let reason = try build(reader, run) { bar.show($0) }
    bar.finish()
    if let reason {
      Console.warn("run #\(run.number): the choices of workers are not kept: \(reason)")
    }
  }
}
