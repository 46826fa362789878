import EventLog
import LogFormat

/// Since when each worker has its status, at Dask's scheduler.
struct WorkerStatuses {
  private let lives: WorkerLives
  private var statuses: [(status: String, since: Int64)?]

  init(_ lives: WorkerLives) {
    self.lives = lives
    statuses = Array(repeating: nil, count: lives.lives.count)
  }

  /// Dask's scheduler logs each change of a worker's status under its address.
  ///
  /// - Parameter workers: receive when they were paused, or changing.
  mutating func change(
    _ args: UnsafeBufferPointer<UInt8>, _ seq: Int64, _ time: Int64,
    _ workers: inout [ThreadTimeInput.Worker]
  ) {
    var (topic, action, status): (String?, Bool, String?) = (nil, false, nil)
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      if scanner.equals(name, "topic") {
        topic = scanner.string().map { String(decoding: scanner[$0], as: UTF8.self) }
      } else if scanner.equals(name, "message") {
        scanner.members { name, scanner in
          if scanner.equals(name, "action") {
            action = scanner.string().map { scanner.equals($0, "worker-status-change") } ?? false
          } else if scanner.equals(name, "status") {
            status = scanner.string().map { String(decoding: scanner[$0], as: UTF8.self) }
          }
        }
      }
    }
    guard action, let status, let worker = topic.flatMap({ lives.place($0, at: seq) }) else {
      return
    }
    end(worker, time, &workers)
    statuses[worker] = (status, time)
  }

  /// A status ends, as another begins or the worker leaves.
  func end(_ worker: Int, _ time: Int64, _ workers: inout [ThreadTimeInput.Worker]) {
    guard let (status, since) = statuses[worker] else { return }
    let interval = ThreadTimeInput.Interval(since, time)
    switch status {
    case "paused": workers[worker].paused.append(interval)
    case "running": break
    default: workers[worker].changing.append(interval)
    }
  }
}
