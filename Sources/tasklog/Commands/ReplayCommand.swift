import ArgumentParser
import BuiltinPlugins
import EventLog
import Querying
import Replaying
import TaskLogPlugin

struct ReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Send a run through plugins, and print what they report.",
    usage: "tasklog replay --plugin <name> ... [--log <path>] [--run <run>]",
    discussion: """
      A plugin ends in the state that it had live. Built in:
      \(BuiltinPlugins.all.map { "  \($0.name): \($0.summary)" }.joined(separator: "\n"))

      Example:
        tasklog replay --plugin counter --plugin errors
      """)

  @Option(help: ArgumentHelp("A plugin; can be given several times.", valueName: "name"))
  var plugin: [String] = []

  @OptionGroup var selection: RunOptions

  private static var known: String { BuiltinPlugins.all.map(\.name).joined(separator: ", ") }

  func run() async throws {
    guard !plugin.isEmpty else {
      throw Failure.usage("name a plugin with --plugin; there are \(Self.known)")
    }
    // As live, there is one plugin of a name.
    var names: [String] = []
    for name in plugin where !names.contains(name) { names.append(name) }
    let factories = try names.map(Self.factory)
    let reader = try LogReader(path: selection.log.recoveredPath())
    let runs = try reader.runs(matching: selection.selector)
    var failed = false
    for (place, info) in runs.enumerated() {
      if place > 0 { Console.print() }
      if runs.count > 1 {
        Console.print("run #\(info.number), \(info.id)")
        Console.print()
      }
      failed = try await replay(info, reader, factories) || failed
    }
    if failed { throw ExitCode(Failure.runCode) }
  }

  private static func factory(_ name: String) throws -> PluginFactory {
    if let factory = BuiltinPlugins.all.first(where: { $0.name == name }) { return factory }
    throw Failure.usage("--plugin \(name): there is no such plugin; there are \(Self.known)")
  }

  /// True when a plugin has failed.
  private func replay(
    _ info: RunInfo, _ reader: LogReader, _ factories: [PluginFactory]
  ) async throws -> Bool {
    let replayer = Replayer(reader: reader, run: info)
    for factory in factories { replayer.add(factory) }
    let extent = (info.lastSeq ?? 0) - (info.firstSeq ?? 0) + 1
    var bar = ProgressBar(total: extent, noun: "events")
    let result: Replayer.Result
    do {
      result = try await replayer.replay { bar.show($0) }
    } catch {
      bar.finish()
      throw error
    }
    bar.finish()
    ReportText.write(
      result.reports.map {
        ReportText.Entry(plugin: $0.plugin, worker: $0.worker, report: $0.report)
      })
    Console.print("\(Printable.count(result.events, "event")) of run #\(info.number) replayed")
    warn(info, result)
    return result.failureCount > 0
  }

  private func warn(_ info: RunInfo, _ result: Replayer.Result) {
    for failure in result.failures.prefix(10) {
      let owner = failure.worker.map { "worker \($0)" } ?? "the scheduler"
      let place = failure.seq.map { " at seq \($0)" } ?? ""
      Console.complain(
        "plugin '\(failure.plugin)' on \(owner) failed in \(failure.hook)\(place): "
          + failure.error)
    }
    if result.failureCount > 10 {
      Console.complain("plugins failed \(result.failureCount) times in all")
    }
    warn(result.missing, "missing in the log of run #\(info.number)")
    warn(Int64(result.damaged), "damaged in the log of run #\(info.number), and read in part")
    warn(Int64(result.outOfOrder), "replayed before what caused them")
    switch info.end {
    case .closed: break
    case .died: Console.complain("run #\(info.number) died; what it did last may not be in the log")
    case .running:
      Console.complain(
        "run #\(info.number) is still running; this is what was recorded so far")
    }
  }

  private func warn(_ events: Int64, _ what: String) {
    guard events > 0 else { return }
    Console.complain("\(Printable.count(events, "event")) \(events == 1 ? "is" : "are") \(what)")
  }
}
