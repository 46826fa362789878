import EventLog
import LogAnalysis
import LogFormat

/// What `tasklog time` splits the time of threads by.
package enum ThreadTimePart: String, CaseIterable, Sendable {
  case prefix, worker, client, span, lock, function, time
}

extension Reports {
  /// The time of all threads by what they did or waited for.
  ///
  /// - Parameter part: `nil` for each run as a whole.
  /// - Throws: `LogError`.
  package static func threadTime(
    _ reader: LogReader, _ runs: [RunInfo], by part: ThreadTimePart?,
    in scopes: RunScopes = RunScopes()
  ) throws -> Report {
    if part == .function { return try functions(reader, runs, in: scopes) }
    let owners: TaskIndex.Owners =
      part == .client ? .clients : part == .span ? .spans : []
    let times = try runs.map {
      ($0.number, try reader.threadTime(of: $0, in: scopes[$0], by: owners))
    }
    var report: Report
    if let part {
      report = Report([table(times, by: part)])
    } else {
      report = Report([
        Report.Table(
          "classes", title: "Time of threads",
          columns: [run] + classColumns + [Column("advice", rank: 1, leastWidth: 40)]
        ) { emit in
          for (run, time) in times {
            for kind in classes(time.split) {
              try emit(
                [.integer(run)] + row(kind, time.split[kind], of: time.total)
                  + [.text(kind.advice)])
            }
          }
        }
      ])
      if times.contains(where: { $1.total > 0 }) {
        report.text = { terminal in
          var block = TextBlock(terminal)
          for (_, time) in times where time.total > 0 { block.prose(headline(time)) }
          return block.text
        }
      }
    }
    return report.onTerminal(none: "no workers with threads")
  }

  private static let classColumns = [
    Column("class"), Column("seconds", .seconds), Column("share", .share),
  ]

  /// The classes that have time, the most first.
  private static func classes(_ split: ThreadTime.Split) -> [ThreadTime.Class] {
    ThreadTime.Class.allCases.filter { split[$0] > 0 }
      .sorted { (split[$1], $0.rawValue) < (split[$0], $1.rawValue) }
  }

  private static func row(
    _ kind: ThreadTime.Class, _ nanoseconds: Int64, of total: Int64
  ) -> [SQLiteValue] {
    [
      .text(kind.name), seconds(nanoseconds),
      total > 0 ? .real(Double(nanoseconds) / Double(total)) : .null,
    ]
  }

  private static func table(
    _ times: [(Int64, ThreadTime)], by part: ThreadTimePart
  ) -> Report.Table {
    let column = part == .time ? Column("time", .time) : Column(part.rawValue, leastWidth: 18)
    return Report.Table(
      part.rawValue, title: "Time of threads by \(part.rawValue)",
      columns: [run, column] + classColumns
    ) { emit in
      for (run, threadTime) in times {
        for (name, split) in rows(threadTime, by: part) {
          for kind in classes(split) {
            try emit([.integer(run), name] + row(kind, split[kind], of: threadTime.total))
          }
        }
      }
    }
  }

  private static func rows(
    _ threadTime: ThreadTime, by part: ThreadTimePart
  ) -> [(SQLiteValue, ThreadTime.Split)] {
    func named(_ dimension: ThreadTime.Dimension) -> [(SQLiteValue, ThreadTime.Split)] {
      dimension.sorted.map { (.text($0.name ?? "(none)"), $0.split) }
    }
    switch part {
    case .prefix: return named(threadTime.prefixes)
    case .worker: return named(threadTime.workers)
    case .client: return named(threadTime.clients)
    case .span: return named(threadTime.spans)
    case .lock: return named(threadTime.locks)
    // They are not of the threads' time, but of its samples: see `functions`.
    case .function: return []
    case .time:
      return threadTime.intervals.enumerated().map {
        (time(threadTime.start + Int64($0) * threadTime.width), $1)
      }
    }
  }

  /// How much of the time was work, and the largest part of the rest.
  private static func headline(_ time: ThreadTime) -> String {
    "\(Units.duration(nanoseconds: time.total)) of threads: \(threadShares(time))"
  }

  static func threadShares(_ time: ThreadTime) -> String {
    func share(_ nanoseconds: Int64) -> String {
      Units.percent(Double(nanoseconds) / Double(time.total))
    }
    let computing = time.split[.cpu] + time.split[.notCPU] + time.split[.computing]
    var text = "\(share(computing)) of their time computing"
    let rest = ThreadTime.Class.allCases.filter { ![.cpu, .notCPU, .computing].contains($0) }
    if let most = rest.max(by: { time.split[$0] < time.split[$1] }), time.split[most] > 0 {
      text += "; most of the rest: \(most.name), \(share(time.split[most]))"
    }
    return text
  }
}
