import ArgumentParser
import EventLog
import Explaining
import LogAnalysis
import Querying

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract:
      "Explain what happened to a task and why, what a run waits for, or why a worker was idle.",
    usage: """
      tasklog explain <key> [--full] [--log <path> ...] [--run <run>] [--format <format>]
      tasklog explain --stuck [--at <seq|time>] [--log <path> ...] [--run <run>]
      tasklog explain --worker <worker> [--at <seq|time>] [--log <path> ...] [--run <run>]
      tasklog explain --placements [--log <path> ...] [--run <run>]
      """,
    discussion: """
      With a key it tells each attempt of the task in sentences: when it could run and what it \
      waited for last, how long it waited on its worker, how it ended and why. "evidence" are the \
      events that show it, by their column seq. Why it was put on its worker is found by the scheduler's \
      own rules at its rebuilt state: the table "candidates" has every worker that was considered, with \
      its threads, the seconds of work that it had, the tasks that it had been sent and those of them \
      that waited for a thread, the bytes that it would have had to fetch, and when the task was expected \
      to start. If the rules lead to another worker than the recorded one, that is said. \
      Beyond a million events the state is rebuilt with --full only: it reads the run once, from start to \
      end, and keeps what the choices of workers depended on in the cache of the user, as 'tasklog index' \
      does. From then on any task of the run is explained at once.

      --stuck rebuilds the state of the scheduler, compares it with what its workers recorded, and \
      follows each unfinished task to what it waits for in the end: a worker, a resource, a lock and the \
      tasks that can hold it, a paused worker, a worker that recorded nothing of a task, a task that \
      runs. "tasks" is the number of tasks with the same cause, "waiting" the number of those that \
      wait for them, "wanted" the number of these that a client waits for; "chain" is one way from \
      there to the cause, "disagreed" the first event since when the scheduler and a worker have seen \
      a task differently. What the log does not say is unknown.

      --worker says what the threads of a worker did at that moment, and why one had nothing to do: \
      tasks waited for data, were queued, restricted to other workers or late, the worker was paused, \
      starting or gone, or there was nothing ready.

      --placements compares the worker of every task with these rules: how many were put on one that \
      they lead to ("expected"), on one of several that are equally good ("ties"), on the only one that was \
      considered ("single"), and on one that they do not lead to ("different").

      Examples:
        tasklog explain top-20
        tasklog explain --stuck --at 30
        tasklog explain --stuck --format json
        tasklog explain --worker 0 --at 30
        tasklog explain --placements
      """)

  @Argument(help: "The key of a task.")
  var key: String?

  @Flag(help: "Show what the unfinished tasks wait for.")
  var stuck = false

  @Flag(
    help: ArgumentHelp(
      "With a key, rebuild the scheduler's state even if that takes more than a million events; once for a run."
    ))
  var full = false

  @Flag(help: "Compare the workers that tasks were put on with the scheduler's rules.")
  var placements = false

  @Option(
    help: ArgumentHelp(
      "Say what this worker did: its name, address, a pattern of addresses, or server ID.",
      valueName: "worker"))
  var worker: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "With --stuck or --worker, the moment: 100, seq:100, 2026-01-31T12:00:00.5 (UTC), or -10m. By default the end of the log.",
      valueName: "seq|time"))
  var at: String?

  @OptionGroup var options: VerbOptions

  func validate() throws {
    let questions = [stuck, placements, key != nil, worker != nil].count(where: \.self)
    guard questions == 1 else {
      throw ValidationError(
        "name the key of a task, --stuck, --worker, or --placements"
          + (questions > 1 ? ", one of them at a time" : ""))
    }
    if full, key == nil { throw ValidationError("--full requires a key") }
    if at != nil, key != nil || placements {
      throw ValidationError("--at requires --stuck or --worker")
    }
  }

  func run() throws {
    if let key { return try explain(key) }
    if placements {
      return try options.write { try Reports.placements($0, $1, index: .ofUser()) }
    }
    let point = try at.map(StateCommand.point) ?? .end
    if let worker { return try explain(worker: worker, at: point) }
    try options.write { try Reports.stuck($0, $1, at: point) }
  }

  private func explain(worker name: String, at point: PointInTime) throws {
    try options.write { reader, runs in
      if let report = try Reports.idle(reader, runs, worker: name, at: point) { return report }
      throw Failure.run("\(reader.name): no worker '\(name)'; 'tasklog workers' lists them")
    }
  }

  private func explain(_ key: String) throws {
    let index = full ? PlacementIndex.ofUserOrWarning() : PlacementIndex.ofUser()
    try options.write { reader, runs in
      if full, let index {
        for run in runs where run.seqCount > TaskHistory.usualEvents {
          try index.buildVisibly(reader, run)
        }
      }
      let report = try Reports.explanation(reader, runs, of: key, isFull: full, index: index)
      if let report { return report }
      throw Failure.run(
        "\(reader.name): no transition of a task '\(key)'; "
          + "search for a part of a key with 'tasklog query --key \"*\(key)*\"'")
    }
  }
}
