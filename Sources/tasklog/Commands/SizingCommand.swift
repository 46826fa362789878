import ArgumentParser
import EventLog
import LogAnalysis
import Querying

struct SizingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sizing",
    abstract:
      "Estimate what tasks needed, which workers would have held a run, and its core-hours.",
    usage: ScopedVerbOptions.usage("sizing"),
    discussion: """
      Tables: prefixes (for each the memory of a task at its peak as a range, from what workers \
      measured while it ran; "basis" is what else ran then, and without a value too few tasks were \
      sampled; the part of computing on a processor, bytes fetched by other workers), workers (for \
      some numbers of threads the memory that a process would have needed, the limit to give it, and \
      the most that was seen), and hours (thread-hours of the run, each job, client and span, and each \
      label of the runs: used for work, wasted on work that failed, was lost or was repeated, and idle). \
      Tasks submitted within a task count for the owner of that task. The article Sizing says how wrong \
      it can be.

      Examples:
        tasklog sizing
        tasklog sizing --table hours --run all --format csv
      """)

  @OptionGroup var options: ScopedVerbOptions

  func run() throws { try options.write(Reports.sizing(_:_:in:)) }
}
