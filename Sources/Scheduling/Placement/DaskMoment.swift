import TaskLogPlugin

/// What Dask's choice of a worker depends on besides the state of the scheduler.
package struct DaskMoment {
  package struct Worker {
    /// The number of its tasks by prefix, in the order of Dask's dictionary.
    package var counts = OrderedMap<String, Int>()
    /// Bytes of inputs that it has to fetch.
    package var networkBytes: Int64 = 0
    package var isIdle = false

    package init() {}
  }

  /// Mean and longest seconds of a prefix; negative if unknown.
  package struct Duration: Equatable {
    package var average = -1.0
    package var longest = -1.0

    package init(average: Double = -1, longest: Double = -1) {
      (self.average, self.longest) = (average, longest)
    }
  }

  /// In the order of joining.
  package var workers: [Worker] = []
  package var durations: [String: Duration] = [:]
  package var sentCount: Int64 = 0
  /// The worker that gets the next tasks of the task's group, and how many.
  package var group: (worker: String?, left: Int)?
  var settings = DaskSettings()

  package init() {}

  /// Bandwidth, unknown duration, saturation, and the two limits of what is root-ish.
  package var numbers: [Double] {
    get {
      [
        settings.bandwidth, settings.unknownDuration, settings.saturation,
        Double(settings.rootishGroups), Double(settings.rootishDependencies),
      ]
    }
    set {
      guard newValue.count == 5 else { return }
      (settings.bandwidth, settings.unknownDuration) = (newValue[0], newValue[1])
      settings.saturation = newValue[2]
      settings.rootishGroups = Int(saturating: newValue[3])
      settings.rootishDependencies = Int(saturating: newValue[4])
    }
  }

  package var bandwidth: Double {
    get { settings.bandwidth }
    set { settings.bandwidth = newValue }
  }
}

/// What `DaskRules` has changed since an index was last updated.
package final class DaskChanges {
  /// The order of these matters: sums of floating-point numbers depend on it.
  package var counts: [(worker: WorkerInfo, prefix: String, difference: Int)] = []
  package var workers: [WorkerInfo] = []
  package var prefixes: [String] = []
  /// Any duration and setting may have changed.
  package var areAll = true
  /// A worker that has left is idle: an index does not have that.
  package var isUnknown = false

  package init() {}

  package func removeAll() {
    counts.removeAll(keepingCapacity: true)
    workers.removeAll(keepingCapacity: true)
    prefixes.removeAll(keepingCapacity: true)
    areAll = false
  }
}

/// What an index needs to know.
extension DaskRules {
  package var numbers: [Double] {
    var moment = DaskMoment()
    moment.settings = settings
    return moment.numbers
  }

  package var bandwidth: Double { settings.bandwidth }

  package func isIdle(_ worker: WorkerInfo) -> Bool { idle[worker.address] === worker }

  package func networkBytes(of worker: WorkerInfo) -> Int64 { load(of: worker).networkBytes }

  package func durations(of prefix: String) -> DaskMoment.Duration {
    let duration = known(prefix)
    return DaskMoment.Duration(average: duration.average, longest: duration.longest)
  }

  package func lastWorker(ofGroup name: String) -> (worker: String?, left: Int)? { groups[name] }
}
