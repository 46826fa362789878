import ArgumentParser
import BuiltinPlugins
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Recording
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
      file.swift:Type chooses one. A plugin from a file runs in a process of its own.

      A SchedulerPlugin or WorkerPlugin of Dask is named as module:Class or file.py:Class. It is run as \
      it is, in the Python that --python names, over Dask's own state as it was.

      Any program is a plugin, too: exec:'command args' reads each event as a line of JSON from its \
      standard input.

      Plugins that can save what they have counted begin a long run where the last replay of it ended.

      The exit code is 1 when a plugin failed or is not what it was live, else 3 when the rebuilt state \
      did not fit the recording, so that a plugin that looked at it may have seen something else.

      Examples:
        tasklog replay --plugin counter --plugin errors
        tasklog replay --plugin ./Counter.swift
        tasklog replay --plugin exec:'wc -l'
        tasklog replay --plugin ./Counter.swift --from -5m --key 'inc-*'
      """)

  @OptionGroup var plugins: ReplayPluginOptions
  @OptionGroup var python: ReplayPythonOptions
  @OptionGroup var part: ReplayPartOptions
  @OptionGroup var checkpoints: CheckpointArguments
  @OptionGroup var selection: RunOptions

  func run() async throws {
    guard !plugins.plugin.isEmpty else {
      let known = (BuiltinPlugins.all.map(\.name) + [RabbitMQPluginKind.name])
        .joined(separator: ", ")
      throw Failure.usage(
        "name a plugin with --plugin; there are \(known), exec:'command', module:Class and "
          + "file.py:Class of Dask, and files that end in .swift or .so")
    }
    let options = try part.options(now: Clock.now())
    let watched = Supervisor.watched()
    let given = selection.log.given
    // What comes arrives in the logs themselves.
    if options.follows, given.count > 1 {
      throw Failure.usage("--follow goes on with one log; name it with --log")
    }
    // Of many logs the files of one run are put together first, by the process that outlives plugins.
    var asked = ResolvedLog.inheritedSelection(given[0]).map { [$0] }
    if asked == nil, given.contains(where: LogTemplate.isTemplate) {
      asked = try selection.log.asked(run: selection.selector, follows: options.follows)
    }
    defer { for log in asked ?? [] { log.close() } }
    if plugins.nameFiles, watched == nil {
      if asked?.count == 1 { asked?[0].exportSelection() }
      let code = try Supervisor.run(
        timeoutSeconds: plugins.timeoutSeconds, logs: asked?.map(\.path) ?? given)
      guard code == 0 else { throw ExitCode(code) }
      if asked?.contains(where: \.hasFailed) == true { throw ExitCode(Failure.runCode) }
      return
    }
    let call = watched ?? ActiveCall()
    let all: [ResolvedLog]
    let logs: LogSet?
    do {
      all = try asked ?? selection.log.asked(run: selection.selector)
      logs = options.follows ? nil : try LogSet(all, all: true)
    } catch {
      // What is wrong with the command comes before what is wrong with a log.
      _ = try plugins.chosen(log: given[0], options, call)
      throw error
    }
    defer { logs?.remove() }
    let reader = try logs?.reader() ?? LogReader(path: all[0].path, name: all[0].name)
    let chosen = try python.joined(
      plugins.chosen(log: reader.path, options, call), timeoutSeconds: plugins.timeoutSeconds,
      options)
    let runs = try reader.runs(matching: logs?.parts[0].selector ?? all[0].selector)
    if options.follows, runs.count > 1 {
      throw Failure.usage("--follow goes on with one run; choose it with --run")
    }
    var outcome = Outcome.exact
    for (place, info) in runs.enumerated() {
      if place > 0 { Console.print() }
      if runs.count > 1 {
        Console.print("run #\(info.number), \(info.id)")
        Console.print()
      }
      outcome = max(outcome, try await replay(info, reader, chosen, options, call))
    }
    // What was not followed to its end is no whole answer.
    if all.contains(where: \.hasFailed) { outcome = max(outcome, .failed) }
    if let code = outcome.exitCode { throw ExitCode(code) }
  }

  /// How well a replay went: what is worse is greater.
  private enum Outcome: Int, Comparable {
    case exact
    /// Plugins may have seen another state than live.
    case drifted
    /// A plugin has failed, or is not what it was live.
    case failed

    static func < (a: Outcome, b: Outcome) -> Bool { a.rawValue < b.rawValue }

    var exitCode: Int32? {
      switch self {
      case .exact: nil
      case .drifted: Failure.driftCode
      case .failed: Failure.runCode
      }
    }
  }

  private func replay(
    _ info: RunInfo, _ reader: LogReader, _ chosen: [ChosenPlugin], _ options: ReplayOptions,
    _ call: ActiveCall
  ) async throws -> Outcome {
    let extent = (info.lastSeq ?? 0) - (info.firstSeq ?? 0) + 1
    var options = options
    // The numbers of events in what was put together are good for this time only.
    if reader.name == reader.path {
      options.checkpoints = checkpoints.options(events: extent) { Console.complain($0) }
    }
    let replayer = Replayer(reader: reader, run: info, options: options)
    replayer.call = call
    for plugin in chosen {
      switch plugin {
      case .swift(let factory, let options): replayer.add(factory, options: options)
      case .outside(let make): replayer.add(try make())
      case .python: break
      }
    }
    var bar = ProgressBar(total: options.follows ? nil : extent, noun: "events")
    // Of a run that goes on what was seen so far is wanted, of another nothing is.
    if options.follows { Interrupt.watch(SIGINT) }
    let result: Replayer.Result
    do {
      result = try await replayer.replay(
        progress: { bar.show($0) }, isCancelled: { Interrupt.hasCome })
    } catch {
      bar.finish()
      throw error
    }
    bar.finish()
    // What plugins have printed comes before what they report.
    fflush(nil)
    let text = ReplayText(path: reader.name, run: info, result: result, part: part.given)
    text.write(end: try reader.runs().first { $0.number == info.number }?.end ?? info.end)
    try RunWarnings.reportParts(info, reader)
    if let run = try reader.runs().first(where: { $0.number == info.number }) {
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
    if options.verifies, result.verifications.isEmpty {
      Console.complain(
        "--verify: nothing was noted of these plugins in run #\(info.number); record it with "
          + "Recorder(log:verify:)")
      return .failed
    }
    // A replay that ended at a failure is no whole answer, whatever the live run had.
    if result.failureCount > 0 || result.end == .failed
      || result.verifications.contains(where: { $0.differing > 0 })
    {
      return .failed
    }
    return result.mismatchCount > 0 || result.drift > 0 ? .drifted : .exact
  }
}
