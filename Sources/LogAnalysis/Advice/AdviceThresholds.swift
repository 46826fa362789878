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
  /// Results are held for long after their last use if they take this share of the memory of all workers
  /// on average, while tasks are unfinished; a warning if a worker was short of memory, too, else a note.
  package var heldShare = 0.1
  /// Without limits of memory: the bytes on average, for a note.
  package var heldBytes: Int64 = 1 << 30
  /// The minimum time for which a result is held after its last use, in seconds.
  package var heldSeconds = 1.0
  /// The bytes that a client sent with one graph, for a note, and with all graphs, for a warning. The first
  /// is that from which Dask warns by default.
  package var argumentNoteBytes: Int64 = 10_000_000
  package var argumentWarningBytes: Int64 = 100_000_000
  /// The share of the time while tasks of a client were unfinished, in which none of them ran, and tasks of
  /// other clients did: for a note and a warning.
  package var waitingNoteShare = 0.2
  package var waitingWarningShare = 0.5
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
