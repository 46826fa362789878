import ArgumentParser
import Querying

struct JobsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobs",
    abstract: "List the jobs within a run: named ones, clients and spans.",
    usage: ScopedVerbOptions.usage("jobs"),
    discussion: """
      A "job" is what was submitted within 'with tasklog.job("etl"):', a "client" what a client \
      submitted, a "span" what is in a span of Dask. A task can be in one of each kind. Tasks that a \
      task submits count for the client and the job of that task. "seconds" is the time from the \
      first transition of its tasks to the last one other than a release, "compute" the seconds that \
      its tasks computed. --job, --client and --span of other commands select one.

      Examples:
        tasklog jobs
        tasklog jobs --since -1d --format csv
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws { try options.write(Reports.jobs(_:_:in:)) }
}
