import EventLog
import TaskLogPlugin

/// The plugins of one source (the scheduler or a worker), and the state that they access.
final class SourceReplay {
  let info: SourceInfo
  let isScheduler: Bool
  private let target: any ReplayTarget
  /// The names of the plugins, and the index of each in the order of adding.
  let names: [(name: String, index: Int)]
  /// Positions in `names` of the plugins that are still called. Not changed during a call.
  @exclusivity(unchecked) private var active: [Int]
  private let call: ActiveCall
  /// The label of each plugin in `call`.
  private let labels: [UInt64]
  /// One per plugin, if it is compared with the results recorded live.
  @exclusivity(unchecked) private var verifiers: [Verifier] = []
  @exclusivity(unchecked) private(set) var hasBegun = false
  /// Whether a plugin has asked to stop.
  private(set) var hasStopped = false
  /// Whether events have passed before the plugins are called.
  private var hasPassed = false

  /// - Throws: the error of a plugin's initializer.
  init(
    _ info: SourceInfo, of run: RunInfo, reader: LogReader,
    factories: [(factory: PluginFactory, options: [String: String])], call: ActiveCall,
    verifies: Bool
  ) throws {
    let source = info.source
    self.info = info
    self.call = call
    var names: [(String, Int)] = []
    var labels: [UInt64] = []
    let owner = source.kind == .scheduler ? "the scheduler" : "worker \(source.address)"
    func makePlugin<P: Plugin>(_ type: P.Type, _ index: Int) throws -> P {
      let label = call.label("plugin '\(factories[index].factory.name)' on \(owner)")
      labels.append(label)
      names.append((factories[index].factory.name, index))
      call.begin(label, .initializing)
      defer { call.end() }
      return try type.init(options: factories[index].options)
    }
    let history = { try reader.events(of: info) }
    let unknown = run.unavailableState(of: source.kind, missing: try reader.missing(of: info))
    isScheduler = source.kind == .scheduler
    if isScheduler {
      var plugins: [any SchedulerPlugin] = []
      for (index, (factory, _)) in factories.enumerated() {
        guard let type = factory.type as? any SchedulerPlugin.Type else { continue }
        plugins.append(try makePlugin(type, index))
      }
      target = SchedulerTarget(
        id: source.id, unknown: unknown, history: history, plugins: plugins)
    } else {
      var plugins: [any WorkerPlugin] = []
      for (index, (factory, _)) in factories.enumerated() {
        guard let type = factory.type as? any WorkerPlugin.Type else { continue }
        plugins.append(try makePlugin(type, index))
      }
      target = WorkerTarget(source, unknown: unknown, history: history, plugins: plugins)
    }
    self.names = names
    self.labels = labels
    active = Array(names.indices)
    if verifies {
      verifiers = names.map { _, index in
        Verifier(
          plugin: String(describing: factories[index].factory.type),
          worker: source.kind == .worker ? source.address : nil)
      }
    }
  }

  /// Whether there is no plugin to call, now or later.
  var isIdle: Bool { active.isEmpty }

  /// Why a state accessed by a plugin could not be rebuilt.
  var failure: (any Error)? { target.failure }

  private var address: String { info.source.address }

  /// The number of events that did not match the state; 0 if no plugin accessed it.
  var mismatchCount: Int { target.mismatchCount }

  /// What is unavailable in the state; empty if no plugin accessed it.
  var unknown: [UnavailableState] { target.unknown }

  /// The report of a plugin, by its index in the order of adding.
  func report(of index: Int) -> Replayer.Report? {
    guard let position = names.firstIndex(where: { $0.index == index }) else { return nil }
    return .init(plugin: names[position].name, worker: worker, report: report(at: position))
  }

  private func report(at position: Int) -> Value {
    call.begin(labels[position], .reporting)
    defer { call.end() }
    return target.plugins[position].report()
  }

  /// Starts the plugins of a scheduler, sets up those of a worker.
  nonisolated(nonsending) func begin(_ failures: inout FailureList) async {
    hasBegun = true
    for position in active {
      call.begin(labels[position], isScheduler ? .starting : .settingUp)
      do {
        try await target.begin(position)
      } catch {
        handle(error, of: position, nil, &failures)
      }
    }
    call.end()
  }

  // MARK: - Checkpoints

  /// The source_seq of the last event that plugins were called with; `nil` if there was none.
  var currentSourceSeq: Int64? {
    let currentSourceSeq = target.currentSourceSeq
    return hasBegun && currentSourceSeq != 0 ? currentSourceSeq : nil
  }

  /// The checkpoints of the plugins.
  ///
  /// - Throws: the error of a plugin's `checkpoint()`.
  func checkpoints() throws -> [Checkpoint.Instance] {
    try names.indices.compactMap { position in
      guard let plugin = target.plugins[position] as? any Checkpointing else { return nil }
      call.begin(labels[position], .checkpointing)
      defer { call.end() }
      return Checkpoint.Instance(
        source: info.source.id, plugin: names[position].index, isDone: !active.contains(position),
        state: try plugin.checkpoint())
    }
  }

  /// The state accessed by plugins; `nil` if none was, or if it has more tasks than `limit`.
  func savedState(limit: Int) -> Value? { target.saved(limit: limit) }

  /// Resumes after the event that an earlier replay ended with, with the plugins' checkpoints.
  ///
  /// - Parameter state: the saved state that they had accessed.
  /// - Throws: the error of a plugin's `restore(_:)`, `SavedStateError`.
  nonisolated(nonsending) func resume(
    after sourceSeq: Int64, with saved: [Checkpoint.Instance], _ state: Value?,
    _ failures: inout FailureList
  ) async throws {
    try target.resume(after: sourceSeq, with: state)
    if !hasBegun { await begin(&failures) }
    for position in names.indices {
      guard let plugin = target.plugins[position] as? any Checkpointing,
        let instance = saved.first(where: { $0.plugin == names[position].index })
      else { throw CheckpointError.unknown }
      call.begin(labels[position], .restoring)
      defer { call.end() }
      try plugin.restore(instance.state)
      if instance.isDone {
        hasStopped = true
        active.removeAll { $0 == position }
      }
    }
  }

  // MARK: - Events

  /// Applies an event that plugins are not called with.
  ///
  /// - Throws: `LogError` if a state accessed by a plugin could not be rebuilt.
  func pass(_ recorded: RecordedEvent) throws {
    hasPassed = true
    target.advance(recorded)
    target.finishEvent()
    if let failure = target.failure { throw failure }
  }

  /// Applies the next event of the source and calls the plugins, unless a hook must be awaited
  /// for it.
  ///
  /// - Returns: whether the event was handled; if not, `processAwaiting` handles it.
  /// - Throws: as `pass`.
  func process(_ recorded: RecordedEvent, _ failures: inout FailureList) throws -> Bool {
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: return false
    default: if !hasBegun || !verifiers.isEmpty { return false }
    }
    target.advance(recorded)
    callPlugins(recorded, &failures)
    target.finishEvent()
    if let failure = target.failure { throw failure }
    return true
  }

  /// Applies an event for which hooks have to be awaited.
  ///
  /// - Throws: as `pass`.
  nonisolated(nonsending) func processAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async throws {
    // A worker's plugin is set up after the worker's first event, which describes the worker.
    if !hasBegun, isScheduler || hasPassed { await begin(&failures) }
    target.advance(recorded)
    if !hasBegun { await begin(&failures) }
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: await callAwaiting(recorded, &failures)
    default: callPlugins(recorded, &failures)
    }
    target.finishEvent()
    for index in verifiers.indices { verifiers[index].process(recorded) { report(at: index) } }
    if let failure = target.failure { throw failure }
  }

  /// Comparisons of the plugins here with the results recorded live.
  var verifications: [Verification] { verifiers.compactMap(\.verification) }

  private func callPlugins(_ recorded: RecordedEvent, _ failures: inout FailureList) {
    for position in active {
      call.begin(labels[position], recorded.event.hook, seq: recorded.seq)
      do {
        try target.call(position, recorded.event)
      } catch {
        handle(error, of: position, recorded, &failures)
      }
    }
    call.end()
  }

  private nonisolated(nonsending) func callAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async {
    for position in active {
      call.begin(labels[position], recorded.event.hook, seq: recorded.seq)
      do {
        try await target.callAwaiting(position, recorded.event.hook)
      } catch {
        handle(error, of: position, recorded, &failures)
      }
    }
    call.end()
  }

  private var worker: String? { isScheduler ? nil : address }

  /// Handles an error thrown by a hook.
  private func handle(
    _ error: any Error, of position: Int, _ recorded: RecordedEvent?, _ failures: inout FailureList
  ) {
    if error is StopReplay {
      hasStopped = true
      return active.removeAll { $0 == position }
    }
    failures.append(
      .init(
        plugin: names[position].name, worker: worker, seq: recorded?.seq,
        hook: recorded?.event.hook.name ?? (isScheduler ? "start" : "setup"),
        event: recorded?.event.summaryText, error: String(describing: error)))
  }
}
