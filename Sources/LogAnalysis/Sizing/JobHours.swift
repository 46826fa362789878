/// Divides the time of threads among jobs: pure.
///
/// Work belongs to the job of its task. Idle time at a moment is divided equally among the jobs of a kind
/// that were under way then, and belongs to none if there were none.
struct JobHours {
  /// The number of intervals over which idle time is divided.
  static let intervals = 1000

  private(set) var rows: [Sizing.Hours]

  init(_ time: ThreadTime, _ jobs: [Job], selectsTasks: Bool = false) {
    let (split, hasIdle) = (time.split, !selectsTasks)
    rows = [
      Sizing.Hours(kind: "run", name: nil, split, idle: hasIdle ? split.total - split.busy : 0)
    ]
    let kinds: [(Job.Kind, ThreadTime.Dimension)] = [
      (.job, time.jobs), (.client, time.clients), (.span, time.spans),
    ]
    for (kind, work) in kinds {
      let own = jobs.filter { $0.kind == kind }
      guard !own.isEmpty else { continue }
      let idle = hasIdle ? Self.idle(time, own) : [:]
      let names = Set(work.rows.keys).union(own.map(\.name)).union(idle.keys)
      rows += names.map { name in
        Sizing.Hours(
          kind: kind.rawValue, name: name, work.rows[name] ?? .init(), idle: idle[name] ?? 0)
      }.sorted {
        ($0.name == nil ? 1 : 0, -$0.used, $0.name ?? "")
          < ($1.name == nil ? 1 : 0, -$1.used, $1.name ?? "")
      }
    }
  }

  /// The idle time of each job; `nil` stands for none.
  private static func idle(_ time: ThreadTime, _ jobs: [Job]) -> [String?: Int64] {
    var idle: [String?: Int64] = [:]
    for (place, split) in time.intervals.enumerated() {
      let rest = split.total - split.busy
      guard rest > 0 else { continue }
      let start = time.start &+ Int64(place) &* time.width
      let parts = jobs.compactMap { job -> (name: String, time: Double)? in
        guard let first = job.started, let last = job.stopped,
          let part = ThreadTimeInput.Interval(first, last).part(
            of: .init(start, start &+ time.width))
        else { return nil }
        return (job.name, Double(part.stop - part.start))
      }
      let sum = parts.reduce(0) { $0 + $1.time }
      // As much of the interval as the jobs cover, if they follow each other.
      let covered = min(sum / Double(time.width), 1) * Double(rest)
      var given: Int64 = 0
      for part in parts where sum > 0 {
        let own = Int64(saturating: (covered * (part.time / sum)).rounded(.down))
        idle[part.name, default: 0] += own
        given += own
      }
      idle[nil, default: 0] += rest - given
    }
    return idle.filter { $0.value > 0 }
  }
}
