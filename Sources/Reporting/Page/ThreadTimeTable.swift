import EventLog
import LogAnalysis
import TaskLogPlugin

/// The time of threads, for the page: its classes, and over time.
struct ThreadTimeTable {
  private static let intervalCount = 240

  private var total: Int64 = 0
  private var split = ThreadTime.Split()
  private var prefixes: [String?: ThreadTime.Split] = [:]
  /// Time in microseconds, width in nanoseconds.
  private var intervals: [(time: Int64, width: Int64, split: ThreadTime.Split)] = []

  mutating func add(_ run: RunInfo, _ scan: PageScan) throws {
    let time = try scan.reader.threadTime(
      of: run, in: scan.scopes[run], intervals: Self.intervalCount)
    total += time.total
    for kind in ThreadTime.Class.allCases { split[kind] += time.split[kind] }
    for (name, row) in time.prefixes.rows {
      for kind in ThreadTime.Class.allCases {
        prefixes[name, default: ThreadTime.Split()][kind] += row[kind]
      }
    }
    for (index, interval) in time.intervals.enumerated() {
      intervals.append(
        (scan.microseconds(time.start + Int64(index) * time.width), time.width, interval))
    }
    // Nothing is known after it.
    if !time.intervals.isEmpty {
      let end = time.start + Int64(time.intervals.count) * time.width
      intervals.append((scan.microseconds(end), 1, ThreadTime.Split()))
    }
  }

  /// Durations are nanoseconds; over time the number of threads in each class, in thousandths.
  var document: Value {
    func row(_ split: ThreadTime.Split) -> Value {
      .list(split.nanoseconds.map(Value.int))
    }
    return .object([
      "total": .int(total),
      "classes": .list(
        ThreadTime.Class.allCases.map { kind in
          .list([.string(kind.name), .string(kind.advice), .int(split[kind])])
        }),
      "prefixes": .list(
        prefixes.sorted {
          ($0.key == nil ? 1 : 0, $0.key ?? "") < ($1.key == nil ? 1 : 0, $1.key ?? "")
        }
        .map { .list([$0.key.map(Value.string) ?? .null, row($0.value)]) }),
      "intervals": .list(
        intervals.map { time, width, split in
          .list(
            [.int(time)]
              + split.nanoseconds.map {
                .int(Int64(exactly: (Double($0) * 1000 / Double(width)).rounded()) ?? 0)
              })
        }),
    ])
  }
}
