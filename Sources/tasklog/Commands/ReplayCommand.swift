import ArgumentParser
import BuiltinPlugins
import CSupport
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import PluginLoading
import Querying
import Recording
import Replaying
import TaskLogPlugin

struct ReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract: "Replay a run to plugins, and print their reports.",
    usage:
      "tasklog replay --plugin <name> ... [--option <name=value>] ... [--log <path>] [--run <run>]",
    discussion: """
      A plugin ends in the same state as in the live run. Name a built-in plugin (see 'tasklog \
      plugins'), or a file: Swift source, which is compiled, or a library. If a file has several \
      plugins, select one with file.swift:Type. A plugin from a file runs in a separate process.

      Name a SchedulerPlugin or WorkerPlugin of Dask as module:Class or file.py:Class. It runs \
      unmodified, in the Python named by --python, with Dask's own state rebuilt.

      Any program can be a plugin, too: exec:'command args' reads each event as a line of JSON \
      from its standard input.

      Plugins that can save their state resume a long run where its last replay ended.

      The exit code is 1 if a plugin failed; 3 if the rebuilt state did not match the recording, \
      so that a plugin may have seen a different state; and 2 if a report differs from the live \
      one with --verify. 1 takes precedence over 3, and 3 over 2.

      --each replays each run of --runs, or all runs of the logs, and prints one row for each report. A \
      run that fails is named, and the others are replayed all the same; --resume FILE keeps what \
      has been done. What plugins print is dropped.

      Examples:
        tasklog replay --plugin counter --plugin errors
        tasklog replay --plugin ./Counter.swift
        tasklog replay --plugin exec:'wc -l'
        tasklog replay --plugin ./Counter.swift --from -5m --key 'inc-*'
        tasklog replay --plugin counter --each --log . --runs closed
      """)

  @OptionGroup var plugins: ReplayPluginOptions
  @OptionGroup var python: ReplayPythonOptions
  @OptionGroup var part: ReplayPartOptions
  @OptionGroup var checkpoints: CheckpointArguments
  @OptionGroup var backtest: BacktestOptions
  @OptionGroup var selection: RunOptions

  func run() async throws {
    guard !plugins.plugin.isEmpty else {
      let builtIn = (BuiltinPlugins.all.map(\.name) + [RabbitMQPluginKind.name])
        .joined(separator: ", ")
      throw Failure.usage(
        "name a plugin with --plugin: \(builtIn), exec:'command', module:Class or "
          + "file.py:Class of Dask, or a file that ends in .swift or .so")
    }
    let options = try part.options(now: Clock.now())
    if backtest.each { return try replayEach(options) }
    let supervised = Supervisor.watched()
    if supervised == nil, let parent = backtest.startedBy { tl_end_with_parent(parent) }
    let names = selection.log.given
    // New events arrive in the logs themselves, not in a merged one.
    if options.follows, names.count > 1 {
      throw Failure.usage("--follow follows one log; name it with --log")
    }
    // The segments of a run are merged first, by the process that survives plugin crashes.
    var resolved = LogSet.inherited(names[0])
    if resolved == nil, names.contains(where: LogTemplate.isTemplate) {
      resolved = try selection.resolve(.names, follows: options.follows)
    }
    defer { resolved?.remove() }
    if plugins.usesExternalCode, supervised == nil {
      resolved?.export()
      let code = try Supervisor.run(
        timeoutSeconds: plugins.timeoutSeconds, logs: resolved?.parts.map(\.path) ?? names)
      // An incomplete result is a failure, whatever the part of it says.
      let isAnswer = [0, Failure.answerCode, Failure.driftCode].contains(code)
      if resolved?.hasFailed == true, isAnswer { throw ExitCode(Failure.runCode) }
      guard code == 0 else { throw ExitCode(code) }
      return
    }
    let call = supervised ?? ActiveCall()
    let logs: LogSet
    do {
      logs = try resolved ?? selection.resolve(.names, follows: options.follows)
      resolved = logs
      if !options.follows { try logs.merge(.one) }
    } catch {
      // Errors in the command come before errors of a log.
      _ = try plugins.chosen(log: names[0], options, call)
      throw error
    }
    let reader = try logs.reader()
    let chosen = try python.joined(
      plugins.chosen(log: reader.path, options, call), timeoutSeconds: plugins.timeoutSeconds,
      options)
    let runs = try logs.parts[0].runs(reader)
    if options.follows, runs.count > 1 {
      throw Failure.usage("--follow follows one run; choose it with --run")
    }
    var outcome = BacktestResult.Outcome.exact
    for (index, info) in runs.enumerated() {
      if index > 0 { Console.print() }
      if runs.count > 1 {
        Console.print("run #\(info.number), \(info.id)")
        Console.print()
      }
      outcome = max(outcome, try await replay(info, reader, chosen, options, call))
    }
    // If following ended early, the result is incomplete.
    if logs.hasFailed { outcome = max(outcome, .failed) }
    if let code = outcome.exitCode { throw ExitCode(code) }
  }

  /// Replays each of the selected runs in a separate process.
  private func replayEach(_ options: ReplayOptions) throws {
    if options.follows { throw Failure.usage("--follow follows one run, not each of many") }
    // Errors in the command come before those of each run; files of plugins are found by each process.
    for name in plugins.plugin {
      let path = String(name.prefix { $0 != ":" })
      if [".swift", ".so", ".py"].contains(where: path.hasSuffix), access(path, F_OK) != 0 {
        throw LoadingError.missing(path: path)
      }
    }
    if !plugins.usesExternalCode {
      _ = try plugins.chosen(log: selection.log.given[0], options, ActiveCall())
    }
    var archive = try RunArchive(selection.log)
    let indexes = try archive.selectedRuns(
      selection.run, else: selection.run.run ?? "all")
    let code = try Backtest(archive).run(indexes, backtest)
    if code != 0 { throw ExitCode(code) }
  }

  private func replay(
    _ info: RunInfo, _ reader: LogReader, _ chosen: [ChosenPlugin], _ options: ReplayOptions,
    _ call: ActiveCall
  ) async throws -> BacktestResult.Outcome {
    let extent = info.seqCount
    var options = options
    // The seqs of a merged log are valid for this command only.
    if reader.name == reader.path {
      options.checkpoints = checkpoints.options(events: extent) { Console.warn($0) }
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
    // Interrupting a followed run still prints the reports so far; else it ends the command.
    if options.follows { Interrupt.watch(SIGINT) }
    let result: Replayer.Result
    do {
      result = try await replayer.replay(
        progress: { bar.show($0) }, isCancelled: { Interrupt.isRequested })
    } catch {
      bar.finish()
      throw error
    }
    bar.finish()
    // The output of plugins comes before their reports.
    fflush(nil)
    if let file = backtest.resultFile { try BacktestResult.write(result, to: file) }
    let text = ReplayText(path: reader.name, run: info, result: result, part: part.given)
    text.write(end: try reader.runs().first { $0.number == info.number }?.end ?? info.end)
    try RunWarnings.reportParts(info, reader)
    RunWarnings.reportUntested(info)
    if let run = try reader.runs().first(where: { $0.number == info.number }) {
      try RunWarnings.reportIncomplete([RunSegment(reader: reader, run: run)])
    }
    if options.verifies, result.verifications.isEmpty {
      Console.warn(
        "--verify: run #\(info.number) has no recorded reports of these plugins; record it with "
          + "Recorder(log:verify:)")
      return .failed
    }
    // A replay that ended at a failure is incomplete, whatever the live run had.
    if result.failureCount > 0 || result.end == .failed { return .failed }
    if result.mismatchCount > 0 || result.drift > 0 { return .drifted }
    return result.verifications.contains { $0.differing > 0 } ? .differs : .exact
  }
}
