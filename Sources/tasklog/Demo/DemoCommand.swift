import ArgumentParser
import BuiltinPlugins
import EventLog
import PluginLoading
import Querying
import Recording
import Scheduling
import TaskLogPlugin

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Record a demo job that counts the words of the files below a folder.",
    discussion: """
      Runs one task per file, a tree of merges, and a final top 20. Tasks of files that are not \
      UTF-8 text fail; the job continues with the rest. Hidden files and folders, links, and the \
      log with its companion files are skipped.

      A preload is a Swift file or a library with a class that is a Preload, a SchedulerPlugin or \
      a WorkerPlugin; select one with file.swift:Type. It is loaded before the first worker \
      starts.

      Examples:
        tasklog demo --input /usr/share/doc --workers 4
        tasklog demo --preload ./Failures.swift --preload-argument limit=10
      """)

  @Option(
    help: ArgumentHelp("The folder. By default the working folder.", valueName: "folder"),
    completion: .directory)
  var input: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The number of workers. By default one per processor.", valueName: "count"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "Code to load into the cluster; repeat to load several files.", valueName: "file"))
  var preload: [String] = []

  @Option(
    help: ArgumentHelp(
      "An option of a preload; with several preloads <file>:<name>=<value>.",
      valueName: "name=value"))
  var preloadArgument: [String] = []

  @OptionGroup var log: LogOptions

  func run() async throws {
    if let workers, !(1...1024).contains(workers) {
      throw Failure.usage("--workers \(workers): expected 1 to 1024")
    }
    let folder = input ?? "."
    let files = try FileFinder.files(below: folder, log: log.path)
    guard !files.isEmpty else {
      throw Failure.run("\(folder): has no files to count; name another folder with --input")
    }
    let preloads = try self.preloads()
    let options: Recorder.Options
    do {
      options = try .fromEnvironment()
    } catch {
      throw Failure.run("\(error)")
    }
    let recorder = try Recorder(log: log.given, options: options)
    let cluster: LocalCluster
    do {
      cluster = try await LocalCluster(
        workers: workers, recorder: recorder, preloads: preloads, plugins: [Counter()])
    } catch {
      await recorder.finish()
      throw Failure.run("cannot start the cluster: \(error)")
    }
    await cluster.client.registerPlugin { ErrorLogger() }

    let count: WordCount.Result
    do {
      count = try await WordCount.run(files, below: folder, on: cluster.client)
    } catch {
      await cluster.close()
      throw Failure.run("cannot count the words: \(error)")
    }
    let reports = await self.reports(cluster)
    await cluster.close()

    printCount(count, files: files.count, folder: folder)
    Console.print("Reports of the live plugins:")
    Console.print()
    ReportText.write(reports)
    try printRecorded(recorder)
  }

  private func preloads() throws -> [PreloadSpec] {
    var names: [String] = []
    for name in preload where !names.contains(name) { names.append(name) }
    guard !names.isEmpty || preloadArgument.isEmpty else {
      throw Failure.usage("--preload-argument \(preloadArgument[0]): requires --preload")
    }
    let arguments = try NamedValues(
      preloadArgument, option: "--preload-argument", owners: names, ownerOption: "--preload")
    let loader = PluginLoader(builtIn: BuiltinPlugins.all)
    return try names.map { name in
      PreloadSpec(try loader.preload(for: name).type, options: arguments[name])
    }
  }

  private func reports(_ cluster: LocalCluster) async -> [ReportText.Entry] {
    let scheduler = await cluster.scheduler.reports().map {
      ReportText.Entry(plugin: $0.name, worker: nil, report: $0.report)
    }
    let workers = await cluster.workerReports().map {
      ReportText.Entry(plugin: $0.name, worker: $0.worker, report: $0.report)
    }
    return scheduler + workers
  }

  private func printCount(_ count: WordCount.Result, files: Int, folder: String) {
    let failed = count.failed == 0 ? "" : "; \(count.failed) could not be counted"
    Console.print(
      "The most frequent words of \(Printable.count(files, "file")) in "
        + "\(Printable.text(folder))\(failed):")
    Console.print()
    let wordWidth = count.top.map { Printable.width($0.word) }.max() ?? 0
    let countWidth = count.top.map { String($0.count).count }.max() ?? 0
    for (index, entry) in count.top.enumerated() {
      let word = Printable.text(entry.word)
      Console.print(
        Self.rightAligned(String(index + 1), 4) + "  " + word
          + String(repeating: " ", count: max(0, wordWidth - Printable.width(word)) + 2)
          + Self.rightAligned(String(entry.count), countWidth))
    }
    if count.top.isEmpty { Console.print("  none") }
    Console.print()
  }

  private static func rightAligned(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  private func printRecorded(_ recorder: Recorder) throws {
    guard !Recorder.isDisabled else {
      Console.print("Nothing was recorded: TASKLOG_DISABLED is set.")
      return
    }
    let reader = try LogReader(path: log.path)
    guard let run = try reader.runs(matching: recorder.runID).first else { return }
    let totals = try reader.totals(of: run)
    Console.print(
      "Recorded \(Printable.count(totals.events, "event")) of "
        + "\(Printable.count(totals.tasks, "task")) on "
        + "\(Printable.count(totals.workers, "worker")) as run #\(run.number) in "
        + "\(Printable.text(log.path)).")
    if totals.missing > 0 {
      Console.warn("\(Printable.count(totals.missing, "event")) could not be recorded")
    }
    let option = log.log.map(Self.logOption) ?? ""
    Console.print()
    Console.print("Next:")
    Console.print("  tasklog query --finish erred\(option)")
    Console.print(
      "  tasklog query \"SELECT key, worker, action, duration FROM task_durations "
        + "ORDER BY duration DESC LIMIT 5\"\(option)")
    Console.print("  tasklog replay --plugin counter --plugin errors\(option)")
  }

  private static func logOption(_ path: String) -> String {
    // After a space the parser would read a dash as the next option.
    " --log" + (path.hasPrefix("-") ? "=" : " ") + quote(path)
  }

  /// Quotes a word for a shell, on one line. By bytes: a quote followed by a combining character is
  /// not a separate `Character`.
  private static func quote(_ word: String) -> String {
    let isPlain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "/._-+:@%".utf8.contains(byte)
      }
    }
    if isPlain, !word.isEmpty { return word }
    var quoted = Array("'".utf8)
    for byte in word.utf8 {
      quoted += byte == UInt8(ascii: "'") ? Array("'\\''".utf8) : [byte]
    }
    return String(decoding: quoted, as: UTF8.self) + "'"
  }
}
