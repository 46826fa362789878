import TaskLogPlugin

/// The work that a worker has been sent: what Dask keeps of it to estimate its occupancy.
final class DaskLoad {
  let worker: WorkerInfo
  /// The number of its tasks by prefix, in the order of Dask's dictionary: sums depend on it.
  var counts = OrderedMap<String, Int>()
  /// The inputs that it has to fetch, and the number of its tasks that need each: Dask's `needs_what`.
  private var needs: [ObjectIdentifier: (task: TaskState, count: Int)] = [:]
  /// Bytes of these inputs: Dask's `_network_occ`.
  var networkBytes: Int64 = 0

  init(_ worker: WorkerInfo) { self.worker = worker }

  /// - Returns: the change of `networkBytes`.
  func need(_ input: TaskState) -> Int64 {
    let id = ObjectIdentifier(input)
    if needs[id] != nil {
      needs[id]?.count += 1
      return 0
    }
    needs[id] = (input, 1)
    networkBytes &+= input.bytes
    return input.bytes
  }

  func needLess(_ input: TaskState) -> Int64 {
    let id = ObjectIdentifier(input)
    guard let entry = needs[id] else { return 0 }
    if entry.count > 1 {
      needs[id]?.count -= 1
      return 0
    }
    return receive(input)
  }

  /// The input is there.
  func receive(_ input: TaskState) -> Int64 {
    guard needs.removeValue(forKey: ObjectIdentifier(input)) != nil else { return 0 }
    networkBytes &-= min(input.bytes, networkBytes)
    return -input.bytes
  }
}

extension OrderedMap<String, Int> {
  mutating func add(_ difference: Int, to name: String) {
    let count = (self[name] ?? 0) + difference
    self[name] = count > 0 ? count : nil
  }
}

extension TaskState {
  /// The size of its result: Dask's `get_nbytes`, 1 KiB if it is unknown.
  var bytes: Int64 { nbytes ?? 1024 }
}

/// How long tasks of a prefix take: Dask's `duration_average` and `max_exec_time`.
struct DaskDuration {
  /// Negative if unknown.
  var average = -1.0
  var longest = -1.0

  mutating func add(_ span: StartStop) {
    guard span.action == "compute" else { return }
    let microseconds = max(((span.stop - span.start) * 1e6).rounded(.toNearestOrEven), 0)
    let seconds = microseconds / 1e6
    average = average < 0 ? seconds : 0.5 * seconds + 0.5 * average
  }

  /// A task that still runs.
  mutating func add(running seconds: Double) {
    longest = max(seconds, longest)
    if seconds > 2 * average { average = -1 }
  }

  /// A task that has left its thread.
  mutating func add(longRunning seconds: Double) {
    average = average < 0 ? seconds : (average + seconds) / 2
  }

  func estimate(unknown: Double) -> Double {
    if average >= 0 { return average }
    return longest > 0 ? 2 * longest : unknown
  }
}

/// The settings of Dask's scheduler that a choice depends on, as recorded when it was attached to.
struct DaskSettings {
  /// Bytes per second; changes with each heartbeat.
  var bandwidth = 100_000_000.0
  var unknownDuration = 0.5
  var saturation = 1.1
  var rootishGroups = 5
  var rootishDependencies = 5
  /// Durations by prefix before a task of it has run.
  var durations: [String: Double] = [:]

  mutating func take(_ event: Event) {
    let args = event.args.content
    let attached = event.snapshot.value?["attach"]?["settings"]
    bandwidth = args["bandwidth"]?.number ?? bandwidth
    saturation =
      attached?["WORKER_SATURATION"]?.number ?? args["workerSaturation"]?.number ?? saturation
    unknownDuration = attached?["UNKNOWN_TASK_DURATION"]?.number ?? unknownDuration
    func count(_ name: String) -> Int? { attached?[name]?.int.flatMap(Int.init(exactly:)) }
    rootishGroups = count("rootish_tg_threshold") ?? rootishGroups
    rootishDependencies = count("rootish_tg_dependencies_threshold") ?? rootishDependencies
    if case .dict(let entries)? = attached?["durations"] {
      for entry in entries {
        if let name = entry.key.string { durations[name] = Self.seconds(entry.value) }
      }
    }
  }

  /// Dask's `parse_timedelta`, for the units that its defaults have.
  private static func seconds(_ value: Value) -> Double? {
    if let number = value.number { return number }
    guard let text = value.string else { return nil }
    let number = text.prefix { $0.isNumber || $0 == "." || $0 == "e" || $0 == "-" }
    let units = ["us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "": 1, "m": 60, "h": 3600]
    let unit = String(text.dropFirst(number.count).filter { $0 != " " })
    guard let number = Double(number), let size = units[unit] else { return nil }
    return number * size
  }
}
