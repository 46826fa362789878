import EventLog
import TaskLogPlugin

/// What happened to the tasks that the page lists, in sentences.
struct ExplanationTable {
  /// By the index of a task.
  var rows: [(task: Int, sentences: [ReportPage.Sentence])] = []

  /// Task; attempt, time in microseconds and text of each sentence.
  func document(_ scan: PageScan) -> Value {
    .list(
      rows.map { task, sentences in
        .list([
          .int(Int64(task)),
          .list(
            sentences.map {
              .list([.int($0.attempt), .int(scan.microseconds($0.time)), .string($0.text)])
            }),
        ])
      })
  }
}

extension PageScan {
  /// The numbers of failed tasks, and of the longest spans of work, whose tasks are explained.
  private static let (mostFailures, mostSpans) = (200, 200)

  /// Adds the explanations of the tasks at the top of the tables of errors and of slowest spans.
  ///
  /// - Throws: what `explain` throws.
  mutating func addExplanations(_ explain: ReportPage.Explain) throws {
    var seen: Set<Int> = []
    let ofRun = try runs.map { try explain($0.run) }
    let failed = failures.failures.prefix(Self.mostFailures).map(\.task)
    for task in failed + lanes.longest(Self.mostSpans).map({ Int($0.task) })
    where seen.insert(task).inserted {
      let slot = tasks.slots[task]
      guard slot.key != 0 else { continue }
      let sentences = try ofRun[Int(slot.run)](slot.key)
      if !sentences.isEmpty { explanations.rows.append((task, sentences)) }
    }
  }
}

extension LaneTable {
  /// The longest spans of work, the longest first.
  func longest(_ count: Int) -> [Span] {
    var found: [Span] = []
    var least: Int64 = -1
    func trim() {
      found.sort { ($0.duration, $1.task) > ($1.duration, $0.task) }
      if found.count > count { found.removeSubrange(count...) }
    }
    for lane in lanes {
      for span in lane.spans where span.duration > least {
        found.append(span)
        guard found.count > 4 * count else { continue }
        trim()
        least = found.last?.duration ?? -1
      }
    }
    trim()
    return found
  }
}
