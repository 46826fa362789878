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
    abstract: "Count the words of all files below a folder, recorded from first to last.",
    discussion: """
      One task a file, a tree of merges, a final top 20. Files that are not UTF-8 text fail their \
      task; the job carries on with the rest. Hidden files and folders, links, and the log with its \
      companions are skipped.

      What is preloaded is a file of Swift, or a library, with a class that is a Preload, a \
      SchedulerPlugin or a WorkerPlugin; file.swift:Type chooses one. It is there before the first \
      worker.

      Examples:
        tasklog demo --input /usr/share/doc --workers 4
        tasklog demo --preload ./Failures.swift --preload-argument limit=10
      """)

  @Option(
    help: ArgumentHelp("By default the working folder.", valueName: "folder"),
    completion: .directory)
  var input: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("By default one worker a processor.", valueName: "count"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "Code to run in the cluster; can be given several times.", valueName: "file"))
  var preload: [String] = []

  @Option(
    help: ArgumentHelp(
      "What it is made with; with several of them <file>:<name>=<value>.",
      valueName: "name=value"))
  var preloadArgument: [String] = []

  @OptionGroup var log: LogOptions

  func run() async throws {
    if let workers, !(1...1024).contains(workers) {
      throw Failure.usage("--workers \(workers): must be from 1 to 1024")
    }
    let folder = input ?? "."
    let files = try FileFinder.files(below: folder, log: log.path)
    guard !files.isEmpty else {
      throw Failure.run("\(folder): holds no files to count; name another folder with --input")
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
      throw Failure.run("the cluster could not be started: \(error)")
    }
    await cluster.client.registerPlugin { ErrorLogger() }

    let count: WordCount.Result
    do {
      count = try await WordCount.run(files, below: folder, on: cluster.client)
    } catch {
      await cluster.close()
      throw Failure.run("the words could not be counted: \(error)")
    }
    let reports = await self.reports(cluster)
    await cluster.close()

    printCount(count, files: files.count, folder: folder)
    Console.print("The live plugins report:")
    Console.print()
    ReportText.write(reports)
    try printRecorded(recorder)
  }

  private func preloads() throws -> [PreloadSpec] {
    var names: [String] = []
    for name in preload where !names.contains(name) { names.append(name) }
    guard !names.isEmpty || preloadArgument.isEmpty else {
      throw Failure.usage("--preload-argument \(preloadArgument[0]): there is no --preload")
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
    for (place, entry) in count.top.enumerated() {
      let word = Printable.text(entry.word)
      Console.print(
        Self.right(String(place + 1), 4) + "  " + word
          + String(repeating: " ", count: max(0, wordWidth - Printable.width(word)) + 2)
          + Self.right(String(entry.count), countWidth))
    }
    if count.top.isEmpty { Console.print("  none") }
    Console.print()
  }

  private static func right(_ text: String, _ width: Int) -> String {
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
      Console.complain("\(Printable.count(totals.missing, "event")) could not be recorded")
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
    // After a space the parser would take a dash for the next option.
    " --log" + (path.hasPrefix("-") ? "=" : " ") + quote(path)
  }

  /// A word as a shell takes it, on one line. By bytes: a quote that is followed by a combining
  /// character is no `Character` of its own.
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
