import LogFormat

/// Tells the events of a task as sentences: pure, from its steps in causal order.
///
/// A reason is said only if an event shows it: the stimulus of a transition, and what else that did.
struct TaskExplainer {
  /// The texts of the keys that the task needs; `nil` if the log does not say.
  private let inputs: Set<String>?
  private var explanation = TaskExplanation()
  private var attempt = 0
  /// Since when the task has been waiting at the scheduler, and by which stimulus.
  private var waiting: (since: Int64, stimulus: String?, seq: Int64)?
  private var sent: (time: Int64, worker: String?, seq: Int64)?
  /// On its worker: when it was received, had its inputs, and began to run.
  private var received: Int64?
  private var ready: Int64?
  private var running: (since: Int64, worker: String, seq: Int64)?
  private var stopped: Int64?
  private var isRetry = false
  /// Whether another worker than the one that it was sent to has it.
  private var isStolen = false
  /// Where and when a worker first did something by a stimulus.
  private var atWorkers: [String: (worker: String, seq: Int64)] = [:]

  private init(_ inputs: Set<String>?) { self.inputs = inputs }

  static func explain(_ steps: [TaskStep], inputs: Set<String>?) -> TaskExplanation {
    var explainer = TaskExplainer(inputs)
    for step in steps {
      guard case .worker(let worker) = step.observer, let stimulus = step.stimulus else { continue }
      explainer.atWorkers[stimulus] = explainer.atWorkers[stimulus] ?? (worker, step.seq)
    }
    for step in steps.byDispatch {
      if let (steal, label) = step.steal { explainer.steal(steal, label, step) }
      guard step.start != step.finish else { continue }
      switch step.observer {
      case .scheduler: explainer.atScheduler(step)
      case .worker(let address): explainer.atWorker(step, address)
      }
    }
    return explainer.explanation
  }

  private mutating func say(_ text: String, _ step: TaskStep, _ further: Int64?...) {
    say(text, step, further.compactMap(\.self))
  }

  private mutating func say(_ text: String, _ step: TaskStep, _ further: [Int64]) {
    explanation.sentences.append(
      .init(
        attempt: attempt, time: step.time, text: text,
        evidence: further + [step.seq]))
  }

  private func duration(_ start: Int64, _ stop: Int64) -> String {
    Units.duration(nanoseconds: max(0, stop - start))
  }

  // MARK: - The scheduler

  private mutating func atScheduler(_ step: TaskStep) {
    switch (step.start, step.finish) {
    case (_, "processing"): send(step)
    case ("processing", "memory"):
      let size = step.bytes.map { " of \(Units.bytes(Double($0)))" } ?? ""
      let lag = stopped.map { ", \(duration($0, step.time)) after it had ended" } ?? ""
      say("The scheduler recorded its result\(size)\(lag).", step)
    case (_, "erred"): fail(step)
    case ("processing", _): withdraw(step)
    case ("memory", "released"), ("memory", "forgotten"): release(step)
    case (_, "queued"):
      let after = waiting.map { " after \(duration($0.since, step.time))" } ?? ""
      say("It was ready to run\(after), and was queued: no worker had room for it.", step)
      waiting = (step.time, step.stimulus, step.seq)
    case (_, "no-worker"):
      say("No worker could take it.", step)
      waiting = (step.time, step.stimulus, step.seq)
    case (_, "waiting"):
      if step.isSubmission {
        let client = step.request.map { "Client \($0.client)" } ?? "A client"
        say("\(client) submitted it.", step, step.request?.seq)
      }
      waiting = (step.time, step.stimulus, step.seq)
    default: break
    }
  }

  private mutating func send(_ step: TaskStep) {
    attempt += 1
    let target = "was sent to worker \(step.worker ?? "unknown")"
    let before = waiting
    let waited = before.map { duration($0.since, step.time) }
    if let before, before.stimulus == step.stimulus {
      say("It waited for nothing, and \(target).", step, before.seq)
    } else if let ended = step.ended, let waited, inputs?.contains(ended.key) == true {
      say(
        "It waited \(waited) for inputs, for '\(ended.key)' last, and \(target).", step, ended.seq)
    } else if let ended = step.ended, let waited, step.start == "queued" {
      let how = step.isFailure ? "failed" : "ended"
      say(
        "It waited \(waited) for a thread, until task '\(ended.key)' \(how), and \(target).", step,
        ended.seq)
    } else if let waited, step.isArrival {
      say("It waited \(waited) until a worker was available, and \(target).", step, before?.seq)
    } else {
      let after = waited.map { " after \($0)" } ?? ""
      say("It \(target)\(after); what it waited for, the log does not say.", step, before?.seq)
    }
    if let choice = step.choice {
      let retry = isRetry ? " A retry does not avoid the worker that it failed on." : ""
      say(choice.sentence + retry, step)
      if let recorded = choice.recorded {
        explanation.sentences[explanation.sentences.count - 1].isChoice = true
        explanation.choices.append(.init(attempt: attempt, recorded: recorded))
      }
    }
    (waiting, isRetry, isStolen) = (nil, false, false)
    sent = (step.time, step.worker, step.seq)
    (received, ready, running, stopped) = (nil, nil, nil, nil)
  }

  /// From here on it waits on another worker.
  private mutating func steal(
    _ steal: RecordedSteal, _ label: (String) -> String, _ step: TaskStep
  ) {
    let waited = sent.map { duration($0.time, step.time) }
    say(steal.sentence(waited: waited, label), step, steal.requested)
    sent = (step.time, label(steal.thief), step.seq)
    (received, ready, running, stopped, isStolen) = (nil, nil, nil, nil, true)
  }

  private mutating func fail(_ step: TaskStep) {
    if step.start == "processing" {
      say("It failed for good: \(step.exception ?? "its exception is not in the log").", step)
    } else if step.has("check-no-workers-timeout"), ["no-worker", "queued"].contains(step.start) {
      say("It failed for good: no worker could take it for as long as the scheduler waits.", step)
    } else if step.start == "memory", step.isRemoval {
      say("It failed for good: the worker that held it as an actor was removed.", step)
    } else {
      say("It failed because a task that it needs had failed.", step)
    }
  }

  private mutating func withdraw(_ step: TaskStep) {
    let worker = running?.worker ?? sent?.worker ?? "unknown"
    if step.has("task-erred") {
      say("It failed on worker \(worker), and is tried again.", step)
      isRetry = true
    } else if step.isRemoval, !step.has("retire-workers"),
      let freed = step.stimulus.flatMap({ atWorkers[$0] }),
      freed.worker == worker
    {
      // A worker that was removed gets no message.
      say(
        "It was taken from worker \(worker), because an input was lost with another worker.", step,
        freed.seq)
    } else if step.has("cancelled-by-worker-close") {
      say("Its worker \(worker) was closing, and gave it back.", step)
    } else if step.isRemoval {
      say("Its worker \(worker) was removed, and with it this attempt.", step)
    } else if step.isClient {
      say("It was withdrawn: \(step.reasonOfClient).", step, step.request?.seq)
    } else if step.has("reschedule") {
      say("It asked worker \(worker) to be run again, on any worker.", step)
    } else {
      say("It was taken from worker \(worker); why, the log does not say.", step)
    }
  }

  private mutating func release(_ step: TaskStep) {
    if step.isRemoval {
      say("Its result was lost with the worker that held it.", step)
    } else if step.isClient {
      say("Its result was released: \(step.reasonOfClient).", step, step.request?.seq)
    } else if let ended = step.ended {
      let how = step.isFailure ? "failed" : "was done"
      say("Its result was released when '\(ended.key)' \(how).", step, ended.seq)
    } else {
      say("Its result was released; why, the log does not say.", step)
    }
  }

  // MARK: - The worker

  private mutating func atWorker(_ step: TaskStep, _ worker: String) {
    // What its first worker recorded of a stolen task may arrive later.
    guard let sent, !isStolen || sent.worker == worker else { return }
    switch step.finish {
    case "waiting" where received == nil: received = step.time
    case "ready", "constrained": ready = ready ?? step.time
    case "executing" where running == nil:
      run(step, worker)
    default:
      guard let running, running.worker == worker, stopped == nil,
        step.start == "executing" || step.start == "long-running",
        step.finish == "memory" || step.finish == "error"
      else { return }
      stopped = step.time
      let how = step.finish == "memory" ? "It ran for" : "It failed after running for"
      say("\(how) \(duration(running.since, step.time)).", step, running.seq)
    }
  }

  private mutating func run(_ step: TaskStep, _ worker: String) {
    running = (step.time, worker, step.seq)
    guard let sent else { return }
    var parts: [String] = []
    let moved = sent.worker.map { $0 != worker } ?? false
    // Of one that was moved, it is not known when.
    if let received, let ready, !moved {
      parts.append("\(duration(sent.time, received)) until the worker had it")
      parts.append("\(duration(received, ready)) for its inputs")
      parts.append("\(duration(ready, step.time)) for a thread")
    } else {
      parts.append("\(duration(sent.time, step.time)) in all")
    }
    let meanwhile = step.wait?.sentences ?? (text: "", evidence: [])
    say(
      "It \(moved ? "was moved to worker \(worker) and " : "")began to run: \(isStolen ? "since then " : "")it "
        + "had waited \(Words.list(parts)).\(meanwhile.text)", step, [sent.seq] + meanwhile.evidence
    )
  }
}

extension TaskStep {
  fileprivate func has(_ prefix: String) -> Bool { stimulus?.hasPrefix(prefix) ?? false }

  /// Whether it is what the removal of a worker did.
  fileprivate var isRemoval: Bool {
    ["handle-worker-cleanup", "remove-worker", "retire-workers", "check-worker-ttl"].contains {
      has($0)
    }
  }

  /// Whether a worker came, or was able to take tasks again.
  fileprivate var isArrival: Bool {
    ["worker-status-change", "worker-connect", "add-worker"].contains { has($0) }
  }

  fileprivate var isFailure: Bool { has("task-erred") }

  /// Whether it is what a client's graph did.
  var isSubmission: Bool { has("update-graph") }

  /// Whether it is what a client did that wants less than before.
  var isClient: Bool {
    ["client-releases-keys", "remove-client", "cancel-key"].contains { has($0) }
  }

  fileprivate var reasonOfClient: String {
    guard let client = request?.client else { return "no client wanted it any more" }
    let how = has("remove-client") ? "left" : "released it"
    return "client \(client) \(how), and no other one wanted it"
  }
}
