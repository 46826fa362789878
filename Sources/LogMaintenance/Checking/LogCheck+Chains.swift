import EventLog
import TaskLogPlugin

extension LogCheck {
  /// At a scheduler each transition of a task starts in the state in which the previous one ended.
  /// (A worker of Dask reports the requested state, and the next transition starts in the actual
  /// one.)
  ///
  /// - Parameter unchained: runs for which a filter excluded hooks that carry states.
  func checkChains(_ references: References, except unchained: Set<Int64>) throws {
    var references = references
    let select = try connection.prepare(
      """
      SELECT seq, source_seq, hook, key, start, finish FROM event WHERE source = ?
      ORDER BY source_seq
      """)
    let schedulers = references.sources.filter {
      $0.value.isScheduler && !unchained.contains($0.value.run)
    }
    for (source, facts) in schedulers.sorted(by: { $0.key < $1.key }) {
      try select.bind(1, source)
      var chains = TaskChains()
      var last: Int64 = 0
      while try select.step() {
        // The transitions inside a hole are unknown.
        if select.integer(1) != last + 1 { chains.forgetAll() }
        last = select.integer(1)
        switch references.hook(select.integer(2)) {
        case .transition: break
        // Input from outside a scheduler may bring data, and with it states.
        case .restart, .stimulus, .attach:
          chains.forgetAll()
          continue
        default: continue
        }
        guard !select.isNull(3), !select.isNull(4), !select.isNull(5) else { continue }
        let step = TaskChains.Step(
          seq: select.integer(0), key: select.integer(3), start: select.integer(4),
          finish: select.integer(5))
        for broken in chains.take(step, &references) { report(broken, facts.run, &references) }
      }
      for broken in chains.unfinished { report(broken, facts.run, &references) }
      select.reset()
    }
  }

  private func report(_ broken: TaskChains.Break, _ run: Int64, _ references: inout References) {
    list.add(
      .brokenChain, run: run, at: "seq \(broken.step.seq)",
      "a task leaves \(references.state(broken.step.start)), and the event before had brought it to "
        + "\(references.state(broken.known))")
  }
}

/// Checks that the transitions of the tasks of one scheduler are continuous: tracks the state of
/// each task by the events so far. Keys and states are row IDs of the file.
///
/// One transition of Dask is nested in another: a task whose inputs are larger than the memory of
/// its worker is failed on its way to `processing`. Plugins are called first with processing →
/// erred, then with the outer one, which ends there as well: waiting → erred, queued → erred or
/// no-worker → erred.
struct TaskChains {
  struct Step {
    var seq: Int64
    var key: Int64
    var start: Int64
    var finish: Int64
  }

  /// A step that does not start in the state of its task.
  struct Break {
    var step: Step
    var known: Int64
  }

  private var states: [Int64: Int64] = [:]
  /// By task, what may be an inner transition whose outer one has not followed yet.
  private var inner: [Int64: Inner] = [:]
  private var lastSeq: Int64 = 0

  private struct Inner {
    var step: Step
    /// The previous state of the task, if known.
    var known: Int64?

    var asBreak: Break? { known.map { Break(step: step, known: $0) } }
  }

  mutating func forgetAll() {
    states.removeAll(keepingCapacity: true)
    inner.removeAll(keepingCapacity: true)
  }

  /// Applies the next transition.
  ///
  /// - Returns: the steps that turn out not to start in the state of their task.
  mutating func take(_ step: Step, _ references: inout References) -> [Break] {
    lastSeq = step.seq
    let known = states[step.key]
    states[step.key] = references.state(step.finish) == .forgotten ? nil : step.finish
    var breaks: [Break] = []
    if !inner.isEmpty, let before = inner.removeValue(forKey: step.key) {
      if before.known.map({ $0 == step.start }) ?? isReady(step.start, &references),
        references.state(step.finish) == .erred
      {
        return []
      }
      if let broken = before.asBreak { breaks.append(broken) }
    }
    if known == step.start { return breaks }
    if references.state(step.start) == .processing, references.state(step.finish) == .erred,
      known.map({ isReady($0, &references) }) ?? true
    {
      inner[step.key] = Inner(step: step, known: known)
    } else if let known {
      breaks.append(Break(step: step, known: known))
    }
    return breaks
  }

  /// Whether a task in this state is about to be sent to a worker.
  private func isReady(_ state: Int64, _ references: inout References) -> Bool {
    [.waiting, .queued, .noWorker].contains(references.state(state))
  }

  /// Inner transitions whose outer one did not follow. In a truncated log it may be missing after
  /// the last event.
  var unfinished: [Break] {
    inner.values.filter { $0.step.seq != lastSeq }.compactMap(\.asBreak)
      .sorted { $0.step.seq < $1.step.seq }
  }
}
