import ArgumentParser
import BuiltinPlugins
import EventLog
import PluginLoading
import Querying
import Replaying
import TaskLogPlugin

struct ReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Send a run through plugins, and print what they report.",
    usage:
      "tasklog replay --plugin <name> ... [--option <name=value>] ... [--log <path>] [--run <run>]",
    discussion: """
      A plugin ends in the state that it had live. It is named as 'tasklog plugins' lists it, or by a \
      file: source in Swift, which is compiled, or a library. Where a file has several plugins, \
      file.swift:Type chooses one.

      Examples:
        tasklog replay --plugin counter --plugin errors
        tasklog replay --plugin ./Counter.swift
      """)

  @Option(
    help: ArgumentHelp(
      "A plugin, or a file with one; can be given several times.", valueName: "name"))
  var plugin: [String] = []

  @Option(
    help: ArgumentHelp(
      "What the plugin is made with; with several plugins <plugin>:<name>=<value>.",
      valueName: "name=value"))
  var option: [String] = []

  @OptionGroup var selection: RunOptions

  /// A plugin and the options that are meant for it.
  private struct Chosen {
    var factory: PluginFactory
    var options: [String: String] = [:]
  }

  func run() async throws {
    guard !plugin.isEmpty else {
      let known = BuiltinPlugins.all.map(\.name).joined(separator: ", ")
      throw Failure.usage("name a plugin with --plugin; there are \(known), and files")
    }
    let chosen = try self.chosen()
    let reader = try LogReader(path: selection.log.recoveredPath())
    let runs = try reader.runs(matching: selection.selector)
    var failed = false
    for (place, info) in runs.enumerated() {
      if place > 0 { Console.print() }
      if runs.count > 1 {
        Console.print("run #\(info.number), \(info.id)")
        Console.print()
      }
      failed = try await replay(info, reader, chosen) || failed
    }
    if failed { throw ExitCode(Failure.runCode) }
  }

  private func chosen() throws -> [Chosen] {
    // As live, there is one plugin of a name.
    var names: [String] = []
    for name in plugin where !names.contains(name) { names.append(name) }
    let loader = PluginLoader(builtIn: BuiltinPlugins.all)
    var chosen = try names.map { Chosen(factory: try loader.factory(for: $0)) }
    for text in option {
      guard let equals = text.firstIndex(of: "=") else {
        throw Failure.usage("--option \(text): expected name=value")
      }
      var name = String(text[..<equals])
      var place = 0
      if let colon = name.lastIndex(of: ":") {
        let owner = name[..<colon]
        guard let found = names.firstIndex(where: { $0 == owner }) else {
          throw Failure.usage("--option \(text): there is no --plugin \(owner)")
        }
        place = found
        name = String(name[name.index(after: colon)...])
      } else if chosen.count > 1 {
        throw Failure.usage(
          "--option \(text): there are several plugins; write \(names[0]):\(text)")
      }
      chosen[place].options[name] = String(text[text.index(after: equals)...])
    }
    return chosen
  }

  /// True when a plugin has failed.
  private func replay(
    _ info: RunInfo, _ reader: LogReader, _ chosen: [Chosen]
  ) async throws -> Bool {
    let replayer = Replayer(reader: reader, run: info)
    for plugin in chosen { replayer.add(plugin.factory, options: plugin.options) }
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
