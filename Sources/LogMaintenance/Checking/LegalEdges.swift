import TaskLogPlugin

/// The state transitions that are possible.
///
/// Dask's `Scheduler._TRANSITIONS_TABLE` and `WorkerState._TRANSITIONS_TABLE` of distributed 2024.8
/// to 2026.8, and their consequences: an edge of the scheduler may end in a state other than the
/// requested one (`waiting→processing` in no-worker, queued or erred, `released→waiting` in
/// released), and a worker of our engine reports the actual state of a task, where Dask's reports
/// the requested one (`executing→released` is executing→cancelled as long as the thread runs). A
/// transition without an edge passes through released and is two events.
enum LegalEdges {
  private static let scheduler = table([
    "released": "waiting erred forgotten",
    "waiting": "processing no-worker queued memory released erred",
    "no-worker": "processing released erred",
    "queued": "processing released erred",
    "processing": "memory erred released",
    "memory": "released forgotten erred",
    "erred": "released",
  ])

  private static let worker = table([
    "released": "waiting fetch missing memory error forgotten",
    "waiting": "ready constrained released",
    "ready": "executing released",
    "constrained": "executing released",
    "executing": "memory error long-running rescheduled released cancelled",
    "long-running": "memory error rescheduled released cancelled",
    "fetch": "flight missing released",
    "flight": "memory fetch missing error released cancelled",
    "missing": "fetch waiting error released",
    "memory": "released",
    "error": "released",
    "rescheduled": "released",
    "cancelled":
      "released memory error missing rescheduled waiting fetch long-running executing flight resumed",
    "resumed":
      "memory fetch error released rescheduled long-running missing waiting executing flight cancelled",
  ])

  private static func table(_ chart: [String: String]) -> [[Bool]] {
    let count = State.known.count
    var table = [[Bool]](repeating: Array(repeating: false, count: count), count: count)
    for (start, finishes) in chart {
      for finish in finishes.split(separator: " ") {
        guard let row = State(start).knownIndex, let column = State(String(finish)).knownIndex
        else { continue }
        table[row][column] = true
      }
    }
    return table
  }

  /// Whether a task can make this transition; a state that this version does not know allows any.
  static func has(_ start: State, _ finish: State, isScheduler: Bool) -> Bool {
    // The transition had no effect.
    if start == finish { return true }
    guard let row = start.knownIndex, let column = finish.knownIndex else { return true }
    return (isScheduler ? scheduler : worker)[row][column]
  }
}
