import EventLog
import LogFormat
import Scheduling
import TaskLogPlugin

/// Writes what each choice of a worker in a run depends on, while the state of the scheduler is rebuilt.
///
/// The choices of a run depend on few numbers of each worker, and few of these change between two
/// choices. So what changes is written, and the inputs of each task; a reader adds the changes up,
/// which takes a hundredth of the time that rebuilding the state does, and makes the choice with the
/// scheduler's own rules.
final class PlacementIndexWriter {
  /// What is written of a worker if any of it changes.
  private struct Load: Equatable {
    var processing = 0
    var longRunning = 0
    var nbytes: Int64 = 0
    var networkBytes: Int64 = 0
    var status = WorkerStatus.running
    var isIdle = false
  }

  /// More bytes than these are not written: an index is a copy, and must not fill a disk.
  static let limit = 512 << 20

  private let limit: Int
  private let rules: any PlacementRules
  private let dask: DaskRules?
  private let write: ([UInt8]) -> Void
  private var bytes = IndexBytes()
  private var body = IndexBytes()
  private var written = 0
  /// Later choices are not in the index.
  private(set) var isEnded = false
  /// The last choice that is in it, and where that ends in `bytes`.
  private(set) var lastSeq: Int64 = 0
  private var lastEnd = 0

  private var indexes: [ObjectIdentifier: Int] = [:]
  private var workers: [WorkerInfo] = []
  private var loads: [Load] = []
  private var isMarked: [Bool] = []
  private var marked: [Int] = []
  private var areAllMarked = true
  private var order: [Int] = []
  private var totalThreads = 0

  private var texts: [String: Int] = [:]
  private var durations: [Int: DaskMoment.Duration] = [:]
  private var bandwidth = 0.0
  private var settings: [Double] = []
  private var holders: [[Int]: Int] = [:]
  private var terms: [String: Int] = [:]
  private var sentCount: Int64 = 0

  /// - Parameter write: takes parts of the index in order.
  init(
    _ rules: any PlacementRules, limit: Int = PlacementIndexWriter.limit,
    write: @escaping ([UInt8]) -> Void
  ) {
    (self.rules, self.limit, self.write) = (rules, limit, write)
    dask = rules as? DaskRules
    dask?.changes = DaskChanges()
  }

  /// Marks the workers that an event may change; called before and after it is applied.
  func mark(_ event: Event) {
    guard !isEnded else { return }
    let state = rules.state
    switch event.hook {
    case .transition, .addReplica, .removeReplica, .logEvent:
      if let worker = event.worker.flatMap({ state.workers[$0] }) { mark(worker) }
      guard let task = event.key.flatMap({ state.tasks[$0] }) else { return }
      if let worker = task.processingOn { mark(worker) }
      for worker in task.whoHas { mark(worker) }
    case .heartbeat, .addClient, .removeClient, .clientDesiresKeys, .clientReleasesKeys: break
    default: areAllMarked = true
    }
    // Without a choice for a long time.
    if let changes = dask?.changes, changes.counts.count > 10_000 { addChanges(changes) }
  }

  /// Adds a choice, before its event is applied.
  func add(_ recorded: RecordedEvent, _ task: TaskState) {
    guard !isEnded else { return }
    if areAllMarked { updateOrder() }
    if let changes = dask?.changes { addChanges(changes) }
    addLoads()
    let inputs = task.dependencies.map { input in
      (nbytes: input.nbytes, holders: index(ofHolders: input.whoHas.map(index)))
    }
    let special = task.placementTerms.map { index(ofTerms: $0) }
    let isActor = task.hints?.isActor == true
    let group = dask?.lastWorker(ofGroup: task.group.name)
    let average = dask == nil ? task.prefix.durationAverage : nil

    body.removeAll()
    var flags: UInt64 = special == nil ? 0 : 1
    if group != nil { flags |= 2 }
    if average != nil { flags |= 4 }
    if isActor { flags |= 8 }
    body.add(flags)
    body.add(signed: Int64(rules.state.mismatchCount))
    body.add(signed: (dask?.sentCount ?? 0))
    body.add(signed: Int64(task.group.size))
    body.add(count: task.group.dependencies.count)
    for group in task.group.dependencies { body.add(signed: Int64(group.size)) }
    body.add(count: inputs.count)
    for input in inputs {
      body.add(UInt64(input.holders) << 1 | (input.nbytes == nil ? 0 : 1))
      if let nbytes = input.nbytes { body.add(signed: nbytes) }
    }
    if let special { body.add(count: special) }
    if let group {
      body.add(count: group.worker == nil ? 0 : 1)
      body.add(group.worker ?? "")
      body.add(signed: Int64(group.left))
    }
    if let average { body.add(average) }
    if isActor {
      for worker in rules.state.workers.values { body.add(count: Self.actors(on: worker)) }
    }
    bytes.begin(.choice)
    bytes.add(signed: recorded.seq - lastSeq)
    bytes.add(body)
    finish(recorded.seq)
  }

  private static func actors(on worker: WorkerInfo) -> Int {
    worker.hasWhat.count { $0.hints?.isActor == true }
      + worker.processing.count { $0.hints?.isActor == true }
  }

  func add(_ steal: RecordedSteal, ofKey key: Int64) {
    guard !isEnded else { return }
    let (victim, thief) = (index(ofText: steal.victim), index(ofText: steal.thief))
    body.removeAll()
    body.add(signed: steal.seq)
    body.add(signed: steal.time)
    body.add(count: victim)
    body.add(count: thief)
    body.add(count: steal.estimate == nil ? 0 : 1)
    if let estimate = steal.estimate {
      body.add(estimate.cost)
      body.add(estimate.victim)
      body.add(estimate.thief)
      body.add(signed: estimate.missingBytes)
      body.add(signed: steal.requested ?? 0)
    }
    bytes.begin(.steal)
    bytes.add(signed: key)
    bytes.add(body)
  }

  private func finish(_ seq: Int64) {
    if dask?.changes?.isUnknown == true || written + bytes.count > limit {
      isEnded = true
      dask?.changes = nil
      return bytes.truncate(to: lastEnd)
    }
    (lastSeq, lastEnd) = (seq, bytes.count)
    if bytes.count >= 1 << 16 { flush() }
  }

  /// Writes what has been added.
  func flush() {
    written += bytes.count
    write(bytes.bytes)
    bytes.removeAll()
    lastEnd = 0
  }

  // MARK: - Changes

  private func mark(_ worker: WorkerInfo) {
    let index = index(worker)
    guard !isMarked[index] else { return }
    isMarked[index] = true
    marked.append(index)
  }

  private func index(_ worker: WorkerInfo) -> Int {
    let id = ObjectIdentifier(worker)
    if let index = indexes[id] { return index }
    let index = workers.count
    // Kept, so that no other object gets its ID.
    workers.append(worker)
    indexes[id] = index
    loads.append(Load())
    isMarked.append(false)
    bytes.begin(.worker)
    bytes.add(JSONWriter.text(worker.value))
    return index
  }

  private func updateOrder() {
    let now = rules.state.workers.values.map(index)
    for worker in rules.state.workers.values { mark(worker) }
    for worker in order { mark(workers[worker]) }
    areAllMarked = false
    guard now != order || totalThreads != rules.state.totalThreads else { return }
    (order, totalThreads) = (now, rules.state.totalThreads)
    bytes.begin(.order)
    bytes.add(signed: Int64(totalThreads))
    bytes.add(count: order.count)
    for worker in order { bytes.add(count: worker) }
  }

  private func addChanges(_ changes: DaskChanges) {
    guard let dask else { return }
    for (worker, prefix, difference) in changes.counts {
      mark(worker)
      let text = index(ofText: prefix)
      let worker = index(worker)
      bytes.begin(.count)
      bytes.add(count: worker)
      bytes.add(count: text)
      bytes.add(signed: Int64(difference))
      if durations[text] == nil { update(prefix, text) }
    }
    for worker in changes.workers { mark(worker) }
    for prefix in changes.prefixes { update(prefix, index(ofText: prefix)) }
    if changes.areAll {
      for (prefix, text) in texts where durations[text] != nil { update(prefix, text) }
      let now = Array(dask.numbers.dropFirst())
      if now != settings {
        settings = now
        bytes.begin(.settings)
        for number in now { bytes.add(number) }
      }
    }
    if dask.bandwidth.bitPattern != bandwidth.bitPattern {
      bandwidth = dask.bandwidth
      bytes.begin(.bandwidth)
      bytes.add(bandwidth)
    }
    changes.removeAll()
  }

  private func update(_ prefix: String, _ text: Int) {
    guard let now = dask?.durations(of: prefix), durations[text] != now else { return }
    durations[text] = now
    bytes.begin(.duration)
    bytes.add(count: text)
    bytes.add(now.average)
    bytes.add(now.longest)
  }

  private func addLoads() {
    for index in marked {
      isMarked[index] = false
      let worker = workers[index]
      var load = Load(
        processing: worker.processing.count, longRunning: worker.longRunning.count,
        nbytes: worker.nbytes, status: worker.status)
      if let dask {
        load.networkBytes = dask.networkBytes(of: worker)
        load.isIdle = dask.isIdle(worker)
      }
      guard load != loads[index] else { continue }
      loads[index] = load
      let status = PlacementIndexReader.statuses.firstIndex(of: load.status) ?? 0
      bytes.begin(.load)
      bytes.add(count: index)
      bytes.add(UInt64(status) << 1 | (load.isIdle ? 1 : 0))
      bytes.add(count: load.processing)
      bytes.add(count: load.longRunning)
      bytes.add(signed: load.nbytes)
      bytes.add(signed: load.networkBytes)
    }
    marked.removeAll(keepingCapacity: true)
  }

  // MARK: - What has an index

  private func index(ofText text: String) -> Int {
    index(of: text, in: \.texts, .text) { $0.add(text) }
  }

  private func index(ofHolders workers: [Int]) -> Int {
    index(of: workers, in: \.holders, .holders) {
      $0.add(count: workers.count)
      for worker in workers { $0.add(count: worker) }
    }
  }

  private func index(ofTerms value: Value) -> Int {
    let text = JSONWriter.text(value)
    return index(of: text, in: \.terms, .terms) { $0.add(text) }
  }

  /// The index of an element, which is written when it is new.
  private func index<Element: Hashable>(
    of element: Element, in known: ReferenceWritableKeyPath<PlacementIndexWriter, [Element: Int]>,
    _ part: IndexPart, _ add: (inout IndexBytes) -> Void
  ) -> Int {
    if let index = self[keyPath: known][element] { return index }
    let index = self[keyPath: known].count
    self[keyPath: known][element] = index
    bytes.begin(part)
    add(&bytes)
    return index
  }
}
