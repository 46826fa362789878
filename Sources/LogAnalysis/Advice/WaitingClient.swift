/// How long the tasks of a client waited while those of other clients ran: pure, from intervals. All times are
/// nanoseconds.
struct WaitingClient: Sendable, Equatable {
  private typealias Interval = ThreadTimeInput.Interval

  var client: String
  /// While its tasks were unfinished, none of them ran, and tasks of others did on all threads.
  var waited: Int64
  /// While its tasks were unfinished.
  var unfinished: Int64

  static func all(_ input: ThreadTimeInput) -> [WaitingClient] {
    guard input.unfinishedOfClients.count > 1, !input.selectsTasks else { return [] }
    var running: [String: [Interval]] = [:]
    for worker in input.workers {
      for work in worker.work {
        guard let client = input.tasks[work.task].client else { continue }
        running[client, default: []].append(work.interval)
      }
    }
    let busy = allBusy(input.workers)
    return input.unfinishedOfClients.compactMap { client, intervals -> WaitingClient? in
      let unfinished = intervals.compactMap { $0.part(of: input.window) }.merged()
      let own = (running[client] ?? []).merged()
      let others = running.filter { $0.key != client }.flatMap(\.value).merged()
      let waiting = unfinished.flatMap { $0.without(own) }
      let waited = common(common(waiting, others), busy)
      let time = waited.reduce(Int64(0)) { $0 + $1.stop - $1.start }
      guard time > 0 else { return nil }
      return WaitingClient(
        client: client, waited: time, unfinished: unfinished.reduce(0) { $0 + $1.stop - $1.start })
    }.sorted { ($1.waited, $0.client) < ($0.waited, $1.client) }
  }

  /// When each worker that is there has a task on every thread.
  private static func allBusy(_ workers: [ThreadTimeInput.Worker]) -> [Interval] {
    var steps: [(time: Int64, threads: Int64, tasks: Int64)] = []
    for worker in workers where worker.threads > 0 {
      for present in worker.present.merged() {
        steps += [(present.start, worker.threads, 0), (present.stop, -worker.threads, 0)]
      }
      for work in worker.work where work.interval.start < work.interval.stop {
        steps += [(work.interval.start, 0, 1), (work.interval.stop, 0, -1)]
      }
    }
    steps.sort { $0 < $1 }
    var found: [Interval] = []
    var (threads, tasks): (Int64, Int64) = (0, 0)
    for (index, step) in steps.enumerated() {
      threads += step.threads
      tasks += step.tasks
      guard index + 1 < steps.count, tasks > 0, tasks >= threads else { continue }
      found.append(Interval(step.time, steps[index + 1].time))
    }
    return found.merged()
  }

  /// The parts that are in both of two lists.
  private static func common(_ one: [Interval], _ other: [Interval]) -> [Interval] {
    let (one, other) = (one.merged(), other.merged())
    var (found, place): ([Interval], Int) = ([], 0)
    for interval in one {
      while place < other.count, other[place].stop <= interval.start { place += 1 }
      var next = place
      while next < other.count, other[next].start < interval.stop {
        if let part = interval.part(of: other[next]) { found.append(part) }
        next += 1
      }
    }
    return found
  }
}
