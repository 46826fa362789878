/// What decides whether something is worth a piece of advice. The article Advice lists them.
package struct AdviceThresholds: Sendable {
  /// A cost of time is worth a warning from both of these on: seconds of one thread, and the share of
  /// the time of all threads while tasks were unfinished.
  package var warningSeconds = 5.0
  package var warningShare = 0.2
  /// The same for a note.
  package var noteSeconds = 1.0
  package var noteShare = 0.05
  /// The tasks of a prefix are small if they compute for less than this on average, in seconds; the
  /// minimum number of its results.
  package var smallTaskSeconds = 0.02
  package var smallTaskCount: Int64 = 100
  /// A task is a straggler if it computes for more than this multiple of the median of its prefix; the
  /// minimum number of tasks of the prefix.
  package var stragglerFactor = 3.0
  package var stragglerTasks = 5
  /// A prefix with more stragglers is skewed.
  package var stragglerCount = 3
  /// The seconds after which a task that is ready on a worker counts as waiting for its turn.
  package var imbalanceSeconds = 0.1
  /// The share of a worker's memory limit at which memory is worth a note and a warning: where Dask's
  /// defaults pause a worker, and shortly before its nanny restarts it.
  package var memoryNoteShare = 0.8
  package var memoryWarningShare = 0.9
  /// The share of a worker's memory limit that one result takes.
  package var resultNoteShare = 0.25
  package var resultWarningShare = 0.5
  /// The same in bytes, of workers without a limit: a note.
  package var resultNoteBytes: Int64 = 1 << 30
  /// A prefix always fails first if this share of its tasks did, and at least this number of them.
  package var retriedShare = 0.9
  package var retriedTasks: Int64 = 3
  /// The seconds by which the scheduler's event loop was late, on average.
  package var lateSeconds = 0.1
  /// The mean share of time for which the GIL of a worker was held.
  package var heldGILShare = 0.5
  /// A worker joined late if tasks had been unfinished for this number of seconds before.
  package var lateWorkerSeconds = 5.0
  /// The offset and the uncertainty of a clock, in seconds.
  package var clockSeconds = 0.1
  /// The share of a run's events that is missing.
  package var gapWarningShare = 0.01

  package init() {}
}
