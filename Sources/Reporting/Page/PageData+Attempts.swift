import LogAnalysis

/// The columns of attempts, grouped by task: one with small numbers, one with times, and one with
/// the size of each in every block of tasks, so that a page can read a single task's.
extension PageData {
  static let attemptBlock = 64

  /// Marks of what is known about an attempt; its outcome is in the bits above.
  private struct Known: OptionSet {
    var rawValue: UInt64

    static let sent = Known(rawValue: 1)
    static let started = Known(rawValue: 2)
    static let stopped = Known(rawValue: 4)
    static let ended = Known(rawValue: 8)
    /// It has phases of a path.
    static let path = Known(rawValue: 16)
    /// The length of its `compute` is that of the task's only span of computing.
    static let span = Known(rawValue: 32)
    static let bitCount: UInt64 = 6
  }

  /// The phases of a path in their order, by the bit of each.
  private static let phases: [PathPhase.Kind] = [
    .wait, .queue, .transfer, .queue, .compute, .report,
  ]
  /// The phases have no times.
  private static let isWithoutTimes: UInt64 = 64

  struct Attempts {
    var columns: [PageColumn]
    /// The last attempt with an end in each run: its task, and its index among the task's attempts.
    var lastOfRun: [Int: (task: Int, index: Int)]
  }

  static func attempts(_ scan: PageScan, _ needs: NeedTable) -> Attempts {
    let (heads, times) = (PageColumn("attempt"), PageColumn("moment"))
    let sizes = PageColumn("attemptsize")
    let (table, slots) = (scan.attempts, scan.tasks.slots)
    let predecessors =
      scan.chains?.predecessors ?? table.paths.predecessors(needs, taskCount: slots.count)
    let links = scan.chains?.links ?? predecessors
    // The index of each outcome among the attempts of its task.
    var indexes = [Int32](repeating: 0, count: table.paths.outcomes.count)
    var (task, first) = (Int32(-1), 0)
    for (row, attempt) in table.rows.enumerated() {
      if attempt.task != task { (task, first) = (attempt.task, row) }
      if attempt.path >= 0 { indexes[Int(attempt.path)] = Int32(row - first) }
    }
    let lengths = computeLengths(scan)
    var (next, written) = (0, (heads: 0, times: 0))
    for task in slots.indices {
      let start = next
      while next < table.rows.count, table.rows[next].task == task { next += 1 }
      heads.number(next - start)
      for attempt in table.rows[start..<next] {
        let path = Int(attempt.path)
        let predecessor = path < 0 ? -1 : predecessors[path]
        write(
          attempt, after: slots[task].first, computed: lengths[task], scan, predecessor, heads,
          times)
        let link = path < 0 ? -1 : links[path]
        guard link >= 0 else {
          if path >= 0 { heads.number(0) }
          continue
        }
        let need = table.paths.outcomes[Int(link)].task
        let index = needs[task].firstIndex(of: need).map { $0 - needs[task].startIndex } ?? 0
        heads.number(index + 1)
        heads.number(indexes[Int(link)])
      }
      guard task % attemptBlock == attemptBlock - 1 || task == slots.count - 1 else { continue }
      sizes.number(heads.byteCount - written.heads)
      sizes.number(times.byteCount - written.times)
      written = (heads.byteCount, times.byteCount)
    }
    return Attempts(
      columns: [heads, times, sizes],
      lastOfRun: table.paths.lastOfRun.mapValues {
        (Int(table.paths.outcomes[$0].task), Int(indexes[$0]))
      })
  }

  /// The length of each task's only span of computing that the scheduler learned of; -1 if it has
  /// none or several.
  private static func computeLengths(_ scan: PageScan) -> [Int64] {
    var lengths = [Int64](repeating: -1, count: scan.tasks.slots.count)
    var isSeen = [Bool](repeating: false, count: lengths.count)
    for lane in scan.lanes.lanes {
      for span in lane.spans where span.action == 0 && span.outcome.isReported {
        let task = Int(span.task)
        lengths[task] = isSeen[task] ? -1 : span.duration
        isSeen[task] = true
      }
    }
    return lengths
  }

  /// - Parameters:
  ///   - origin: times are relative to it.
  ///   - computed: of `computeLengths`.
  private static func write(
    _ attempt: AttemptTable.Row, after origin: Int64, computed: Int64, _ scan: PageScan,
    _ predecessor: Int32, _ heads: PageColumn, _ times: PageColumn
  ) {
    var known: Known = []
    var (mask, lengths, numbers) = (UInt64(0), [Int64](), [Int64]())
    // The end of the phases, whose lengths are not negative; a clock that was set back has the attempt
    // end before.
    var end: Int64?
    if attempt.path >= 0 {
      known.insert(.path)
      let run = Int(scan.tasks[Int(attempt.task)].run)
      let phases = scan.attempts.paths.phases(
        Int(attempt.path), after: predecessor, in: scan.windows[run])
      if let start = phases.first?.start {
        numbers.append(start - origin)
        end = phases.reduce(start) { $0 + max(0, ($1.stop ?? 0) - ($1.start ?? 0)) }
        var bit = 0
        for phase in phases {
          while Self.phases[bit] != phase.kind { bit += 1 }
          mask |= 1 << UInt64(bit)
          let length = (phase.stop ?? 0) - (phase.start ?? 0)
          if phase.kind == .compute, length == computed {
            known.insert(.span)
          } else {
            lengths.append(length)
          }
          bit += 1
        }
      } else {
        mask = isWithoutTimes
      }
    }
    let outcome = attempt.path < 0 ? nil : scan.attempts.paths.outcomes[Int(attempt.path)]
    let hasWork = outcome.map { $0.started != PathTable.unknown } ?? false
    let isOnPath = mask != 0 && mask != isWithoutTimes
    // What follows from the phases is not repeated.
    let wait = mask & 1 != 0 ? lengths[0] : 0
    func add(_ mark: Known, _ time: Int64, unless isImplied: Bool) {
      guard time != PathTable.unknown, !isImplied else { return }
      known.insert(mark)
      numbers.append(time - origin)
    }
    let sent = isOnPath ? origin + numbers[0] + wait : PathTable.unknown
    add(.sent, attempt.sent, unless: attempt.sent == sent)
    add(.started, attempt.started, unless: hasWork)
    add(.stopped, attempt.stopped, unless: hasWork)
    add(.ended, attempt.ended, unless: isOnPath && attempt.ended == end)
    heads.number(known.rawValue | UInt64(attempt.outcome) << Known.bitCount)
    heads.number(attempt.worker + 1)
    if attempt.path >= 0 { heads.number(mask) }
    for number in numbers { times.signed(number) }
    for length in lengths { times.number(length) }
  }
}
