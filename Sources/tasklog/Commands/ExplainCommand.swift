import ArgumentParser
import EventLog
import Explaining
import LogAnalysis
import Querying

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Explain what the unfinished tasks of a run wait for.",
    usage: "tasklog explain --stuck [--at <seq|time>] [--log <path> ...] [--run <run>]",
    discussion: """
      Rebuilds the state of the scheduler, compares it with what its workers recorded, and follows \
      each unfinished task to what it waits for in the end: a worker, a resource, a lock and the \
      tasks that can hold it, a paused worker, a worker that recorded nothing of a task, a task that \
      runs. "tasks" is the number of tasks with the same cause, "waiting" the number of those that \
      wait for them, "wanted" the number of these that a client waits for; "chain" is one way from \
      there to the cause, "evidence" the events that show it. What the log does not say is unknown.

      Examples:
        tasklog explain --stuck --at 30
        tasklog explain --stuck --format json
      """)

  @Flag(help: "Show what the unfinished tasks wait for.")
  var stuck = false

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The moment: 100, seq:100, 2026-01-31T12:00:00.5 (UTC), or -10m. By default the end of the log.",
      valueName: "seq|time"))
  var at: String?

  @OptionGroup var options: VerbOptions

  func validate() throws {
    guard stuck else { throw ValidationError("say what to explain: --stuck") }
  }

  func run() throws {
    let point = try at.map(StateCommand.point) ?? .end
    try options.write { try Reports.stuck($0, $1, at: point) }
  }
}
