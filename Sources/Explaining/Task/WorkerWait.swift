import LogFormat

/// What a worker did from when it got a task until it began to run it.
struct WorkerWait: Sendable, Equatable {
  /// A message of another worker with inputs of the task.
  struct Arrival: Sendable, Equatable {
    /// The worker that sent them; `nil` if the log does not say.
    var worker: String?
    /// In nanoseconds, since the inputs were requested; `nil` if that is not in the log.
    var duration: Int64?
    var seq: Int64
  }

  /// Something that happened to another task.
  struct Other: Sendable, Equatable {
    var key: String
    var seq: Int64
  }

  var arrivals: [Arrival] = []
  /// The tasks that began to run while this one was ready.
  var ahead: [Other] = []
  /// Whether the recorded priorities of the first and the last of them put them ahead of this one.
  var isByPriority = false
  /// The task that left the thread which this one got.
  var freed: Other?
  /// The number of the worker's events, if they were not read.
  var unread: Int64 = 0
}

extension WorkerWait {
  /// What follows the sentence of how long it waited, and the events that show it.
  var sentences: (text: String, evidence: [Int64]) {
    guard unread == 0 else {
      let events = Units.count(unread, "event")
      return (" 'tasklog explain' says what its worker did meanwhile, in \(events).", [])
    }
    var (text, evidence) = ("", [Int64]())
    let known = arrivals.compactMap { arrival in
      arrival.worker.map { worker in
        let duration = arrival.duration.map { " (\(Units.duration(nanoseconds: $0)))" } ?? ""
        return "worker \(worker)\(duration)"
      }
    }
    if !known.isEmpty, known.count == arrivals.count {
      text +=
        known.count <= 3
        ? " Its inputs came from \(Words.list(known))."
        : " Its inputs came in \(known.count) messages, the last of them from \(known[known.count - 1])."
      evidence += arrivals.suffix(3).map(\.seq)
    }
    if let first = ahead.first, let last = ahead.last {
      let priority = isByPriority ? " of higher priority" : ""
      text +=
        ahead.count == 1
        ? " Task '\(first.key)'\(priority) began first."
        : " \(ahead.count) tasks\(priority) began first, from '\(first.key)' to '\(last.key)'."
      evidence += ahead.count == 1 ? [first.seq] : [first.seq, last.seq]
    }
    if let freed {
      text += " It got the thread of '\(freed.key)'."
      evidence.append(freed.seq)
    }
    return (text, evidence)
  }
}
