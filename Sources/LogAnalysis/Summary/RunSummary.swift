/// The results of `SummaryScan` for one run: the rows of the views `prefixes`, `prefix_states` and
/// `workers`.
package struct RunSummary: Sendable {
  package struct Prefix: Sendable, Equatable {
    package var name: String?
    package var tasks: Int64 = 0
    package var done: Int64 = 0
    package var failed: Int64 = 0
    package var retried: Int64 = 0
    package var nbytes: Int64 = 0
    package var computeSeconds = 0.0
    /// Nearest-rank percentiles of the time that a task computed, in nanoseconds; `nil` if none did.
    package var computeP50: Int64?
    package var computeP95: Int64?

    package init() {}
  }

  package struct State: Sendable {
    package var prefix: String?
    package var source: String
    package var state: String
    package var count: Int64
    /// All in nanoseconds.
    package var total: Int64
    package var p50: Int64
    package var p95: Int64
    package var max: Int64
  }

  package struct Worker: Sendable {
    package var address: String
    package var name: String = "null"
    package var joined: Int64?
    package var left: Int64?
    package var nthreads: Int64?
    package var tasks: Int64 = 0
    package var failed: Int64 = 0
    package var nbytes: Int64 = 0
    package var busySeconds = 0.0
    package var share: Double?
    package var occupancy: Double?
    /// The time of its threads, in seconds, of which `busySeconds` is a share.
    package var capacitySeconds = 0.0
    /// 1 for the first worker at its address.
    package var life: Int64 = 1
    /// The last offset of its clock behind the scheduler's, and its uncertainty, in nanoseconds;
    /// `nil` if it was not measured.
    package var clock: (offset: Int64, uncertainty: Int64)?
  }

  /// Nanoseconds from the first event of a task at the scheduler until the last task was done or had
  /// failed; `nil` if none did.
  package var makespan: Int64?
  package var prefixes: [Prefix] = []
  package var states: [State] = []
  package var workers: [Worker] = []
}

extension Sequence<RunSummary.Worker> {
  /// The share of the time of all threads that they computed; `nil` if no worker had any time.
  package var utilization: Double? {
    let (busy, capacity) = reduce((0.0, 0.0)) {
      $1.capacitySeconds > 0
        ? ($0.0 + $1.busySeconds, $0.1 + $1.capacitySeconds) : $0
    }
    return capacity > 0 ? busy / capacity : nil
  }
}

/// Durations of one kind, and their nearest-rank percentiles.
///
/// Nearly all are below four seconds and take four bytes each; the others are stored separately.
package struct Durations {
  private var small: [UInt32] = []
  private var others: [Int64] = []
  private(set) var total: Int64 = 0

  package init() {}

  package var count: Int { small.count + others.count }

  package mutating func add(_ nanoseconds: Int64) {
    total += nanoseconds
    if let value = UInt32(exactly: nanoseconds) {
      small.append(value)
    } else {
      others.append(nanoseconds)
    }
  }

  /// The smallest duration that is not exceeded by this percentage of all durations.
  package mutating func percentile(_ percent: Int) -> Int64 {
    let place = (count * percent + 99) / 100 - 1
    guard place >= 0 else { return 0 }
    others.sort()
    // Negative durations, from clocks that were set back, come first.
    let below = others.prefix { $0 < 0 }.count
    if place < below { return others[place] }
    guard place < below + small.count else { return others[place - small.count] }
    return Int64(small.selectSmallest(place - below))
  }
}

extension [UInt32] {
  /// The element that would be at an index if this were sorted: Hoare's selection. Changes the
  /// order.
  mutating func selectSmallest(_ place: Int) -> UInt32 {
    withUnsafeMutableBufferPointer { values in
      var (low, high) = (0, values.count - 1)
      while low < high {
        let middle = low + (high - low) / 2
        let pivot = Swift.max(
          Swift.min(values[low], values[middle]),
          Swift.min(Swift.max(values[low], values[middle]), values[high]))
        var (left, right) = (low, high)
        while left <= right {
          while values[left] < pivot { left += 1 }
          while values[right] > pivot { right -= 1 }
          if left <= right {
            values.swapAt(left, right)
            left += 1
            right -= 1
          }
        }
        if place <= right {
          high = right
        } else if place >= left {
          low = left
        } else {
          break
        }
      }
      return values[place]
    }
  }
}
