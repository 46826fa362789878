import CSupport
import EventLog
import Glibc
import LogFormat
import Synchronization
import TaskLogPlugin

/// Records a scheduler and all of its workers into a log.
///
///     let cluster = try await LocalCluster(recorder: Recorder(log: "tasklog.db"))
///
/// An event whose hook has returned is in the spool next to the log: the death of the process does
/// not lose it. With `TASKLOG_DISABLED=1` in the environment a recorder does nothing.
public final class Recorder: RecordingPlugin {
  public struct Options: Sendable {
    /// What happens when the spool reaches its limit.
    public enum Overflow: Sendable {
      /// Events are dropped and counted as a gap.
      case drop
      /// The caller waits until there is room.
      case wait
    }

    /// The maximum size of the spool, in bytes. By default the smaller of 4 GiB and a quarter of
    /// the disk's free space.
    public var spoolLimit: Int?
    public var overflow = Overflow.drop
    /// The size of the files that make up the spool, in bytes.
    public var segmentSize = 4 << 20
    /// How long the writing thread sleeps if there is nothing to do, in microseconds.
    public var pauseMicroseconds: UInt32 = 10_000
    /// A power failure loses at most the events of this many seconds. One commit per period is
    /// `PRAGMA synchronous = FULL`, the others are `NORMAL`; with 0 every commit is `FULL`.
    public var syncSeconds: Double = 1
    /// How long closing may take if the log cannot be written.
    public var closeSeconds: Double = 10
    /// Starts a new segment when the current one has grown by this number of bytes, or reached this
    /// age. The name of the log must contain `{run}`: with `logs/{run}.db` the second segment is
    /// `logs/ID.2.db`.
    public var rotateBytes: Int64?
    public var rotateSeconds: Double?
    /// What is kept of older runs, and of older segments of this one, while it is recorded:
    /// `7d,20GiB` for an age, a size of all logs of the template, or both; `failures` in addition for
    /// the stories of failed tasks. By default everything.
    public var keep: String?
    /// Where whole copies of the log are delivered to while it is recorded and at its end: a folder
    /// that outlives this machine, or a command of the shell with `{file}` where the path of a copy
    /// is to stand; `none` for nowhere. By default a log that is recorded to a local disk because the
    /// requested path is on a network file system is delivered there.
    public var deliver: String?
    /// How often, in seconds, if the log has changed.
    public var deliverEverySeconds: Double = 60
    /// How long the last delivery may take, in seconds.
    public var deliverSeconds: Double = 15
    /// A folder in which workers on this host keep their spools: events that dead workers left
    /// there, of runs that are over and in this log, are recovered into it.
    public var workerSpools: String?
    /// Names of args whose values are redacted, or patterns of names, also at any depth within
    /// dictionaries; case is ignored. The values are replaced before anything reaches the disk. The
    /// text of an exception is covered only by its own names (`exceptionText`, …).
    public var redactedArgs: [String] = []
    /// The maximum size of the args of one event, in bytes; unlimited by default. Longer args are
    /// truncated: the head is kept, with the original length.
    public var maximumArgsBytes: Int?
    /// Which events are recorded; all by default.
    public var filter = Filter()
    /// The name of the recorded engine.
    public var engine = "tasklog"
    public var engineVersion = taskLogVersion
    /// `full` if all marks are recorded, `hooks` if only public hooks are.
    public var mode = "full"
    public var metadata: Value = .dict([])
    /// The labels of the run, by which `tasklog runs --runs` finds it.
    public var labels: [String: String] = [:]
    /// Receives problems. By default they are printed to standard error.
    public var problem: @Sendable (String) -> Void = { Recorder.printWarning($0) }

    public init() {}
  }

  /// The id of the recorded run.
  public let runID = RunID.make()
  /// The path of the first segment: not always the requested one, see `LogLocation`. `{run}` in the
  /// name is replaced by the id of the run, see `LogTemplate`. For a recorder that publishes, the
  /// folder of its spool.
  public let log: String
  /// The same with `{run}` not yet replaced.
  let template: String
  let problem: @Sendable (String) -> Void
  private let waits: Bool
  private let redaction: Redaction?
  private let options: Options
  private let verified: [any Plugin.Type]
  private let every: Int
  /// Drains the spool of the log; `nil` if nothing is recorded into a log.
  private let recorder: (any SpoolConsumer)?
  /// Drains the spool of the broker; `nil` if nothing is published.
  private let publisher: (any SpoolConsumer)?
  /// `nil` if no copies are delivered.
  let delivery: Delivery?
  private let retention: Retention?
  private let channels = Mutex<[SpoolChannel]>([])
  private let isOpen = OpenFlag()
  private let isFinished = Mutex(false)
  private let generation = tl_generation()

  /// Opens a log (creates it if there is none), recovers what dead recorders left in it, begins a
  /// run and starts the writing thread.
  ///
  /// - Parameters:
  ///   - options: by default those of the environment.
  ///   - verify: plugins of which an instance follows the run; its reports are recorded in the log,
  ///     for `tasklog replay --verify` to compare.
  ///   - every: the number of calls per source after which a report is recorded, in addition to the
  ///     one at the end; 0 for the end only.
  ///   - publishing: a broker to which the same events are also published, under the same
  ///     identities.
  /// - Throws: `RecordingError` if an option is invalid; `LogError` if the log cannot be written. A
  ///   host that should run even if it cannot be recorded then continues without a recorder.
  public init(
    log: String, options: Options? = nil, verify: [any Plugin.Type] = [], every: Int = 1000,
    publishing: Publishing? = nil
  ) throws {
    let options = try options ?? .fromEnvironment()
    verified = Self.isDisabled ? [] : verify
    self.every = max(0, every)
    var log = log
    let isTemplate = LogTemplate.isTemplate(log)
    try options.checkRotation(log)
    let retentionRules = try options.retentionRules
    let requested = log
    let network = Self.isDisabled ? nil : LogLocation.networkFileSystem(of: log)
    if network != nil { log = try LogLocation.standIn(for: log) }
    let deliverySettings = try options.delivery(of: requested, isElsewhere: network != nil)
    if let network {
      options.problem(
        "tasklog: \(requested) would be on \(network), which is not known to be a local file system, "
          + "and a log is not safe there; recording on host \(LogLocation.host) into \(log)"
          + (deliverySettings.map { "; copies are delivered to \($0.destination.text)" } ?? ""))
    }
    let template = log
    self.template = template
    log = LogTemplate.path(template, run: runID)
    self.log = log
    problem = options.problem
    waits = options.overflow == .wait
    redaction = Redaction(options.redactedArgs)
    self.options = options
    try options.filter.check()
    guard !Self.isDisabled else {
      (recorder, publisher, delivery, retention) = (nil, nil, nil, nil)
      return
    }
    if isTemplate {
      LogTemplate.makeFolder(template)
      Recovery.recoverAll(template, options.problem)
    }
    let writer = try LogWriter(path: log)
    let lock = try RecorderLock(log: log, run: runID)
    do {
      for recovered in try Recovery.recover(writer) where recovered.isNotable {
        options.problem("tasklog: \(recovered.text)")
      }
      let header = options.header(run: runID)
      // Before the run is in the log: if this fails, the run would never end.
      let publisher = try publishing.map { try Publisher($0, header, options) }
      let (run, identity) = try writer.transaction {
        (try writer.add(header), try writer.makeIdentity())
      }
      let spool = try Spool(
        folder: lock.path, segmentSize: max(4096, options.segmentSize),
        limit: options.spoolLimit ?? Self.defaultLimit(log))
      spool.belong(to: identity, committed: writer.committedSeq)
      let drainer = Drainer(
        writer: writer, run: run, header: header, spool: spool, lock: lock,
        settings: .init(
          pauseMicroseconds: options.pauseMicroseconds,
          syncNanoseconds: Int64(saturating: options.syncSeconds * 1e9),
          closeNanoseconds: Int64(saturating: options.closeSeconds * 1e9),
          rotation: options.rotation(template), problem: options.problem))
      let (id, path) = (header.id, log)
      let delivery = deliverySettings.map { Delivery($0, run: id, log: path) }
      if let delivery { drainer.health.add(delivery) }
      let retention = retentionRules.map {
        Retention(log: template, rules: $0, problem: options.problem)
      }
      drainer.didRotate = { path in
        delivery?.continueIn(path)
        retention?.request()
      }
      recorder = drainer
      self.publisher = publisher
      self.delivery = delivery
      self.retention = retention
      try drainer.start()
      try delivery?.start()
      retention?.start()
      try publisher?.start()
      if let folder = options.workerSpools { importOrphanedSpools(folder) }
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: log, reason: error.message)
    } catch let error as SpoolError {
      throw LogError.cannotWrite(path: log, reason: error.description)
    }
  }

  /// Publishes instead of recording into a log: events stay in a spool until a broker has confirmed
  /// them. The host runs whether or not there is a broker, now or later.
  ///
  /// - Throws: `RecordingError` if an option is invalid; `LogError` if the spool cannot be written.
  public init(publishing: Publishing, options: Options? = nil) throws {
    let options = try options ?? .fromEnvironment()
    verified = []
    every = 0
    log = publishing.spool
    template = log
    problem = options.problem
    waits = options.overflow == .wait
    redaction = Redaction(options.redactedArgs)
    self.options = options
    try options.filter.check()
    guard !Self.isDisabled else {
      (recorder, publisher, delivery, retention) = (nil, nil, nil, nil)
      return
    }
    let publisher = try Publisher(publishing, options.header(run: runID), options)
    (recorder, delivery, retention) = (nil, nil, nil)
    self.publisher = publisher
    try publisher.start()
  }

  public static var isDisabled: Bool {
    guard let value = getenv(EnvironmentVariable.disabled.rawValue) else { return false }
    return String(cString: value) == "1"
  }

  static func defaultLimit(_ log: String) -> Int {
    var status = statvfs()
    let maximum = 4 << 30
    guard statvfs(log, &status) == 0 else { return maximum }
    let free = Int(
      clamping: UInt64(status.f_bavail).multipliedReportingOverflow(
        by: UInt64(status.f_frsize)
      ).partialValue)
    return min(maximum, free / 4)
  }

  static func printWarning(_ message: String) {
    let line = Array((message + "\n").utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  public func channel(for source: Source) -> any EventChannel {
    guard let channel = spoolChannel(for: source) else { return DisabledChannel() }
    return channel
  }

  public func schedulerPlugins(recording channel: any EventChannel) -> [any SchedulerPlugin] {
    func shadow<Base: SchedulerPlugin>(_ type: Base.Type) -> any SchedulerPlugin {
      ShadowSchedulerPlugin(type, ReportRecorder(channel, every: every))
    }
    return verified.compactMap { type in (type as? any SchedulerPlugin.Type).map { shadow($0) } }
  }

  public func workerPlugins(recording channel: any EventChannel) -> [any WorkerPlugin] {
    func shadow<Base: WorkerPlugin>(_ type: Base.Type) -> any WorkerPlugin {
      ShadowWorkerPlugin(type, ReportRecorder(channel, every: every))
    }
    return verified.compactMap { type in (type as? any WorkerPlugin.Type).map { shadow($0) } }
  }

  /// `nil` if recording is disabled.
  func spoolChannel(for source: Source) -> SpoolChannel? {
    guard let spool = recorder?.spool ?? publisher?.spool else { return nil }
    return channels.withLock { channels in
      let channel = SpoolChannel(
        number: channels.count, source: source, spool: spool,
        published: recorder == nil ? nil : publisher?.spool, waits: waits,
        limits: SourceLimits(options, redaction: redaction, source), isOpen: isOpen)
      channels.append(channel)
      return channel
    }
  }

  /// How the recorder is doing; `nil` if it records into no log.
  package var status: RecorderStatus? {
    guard let drainer = recorder as? Drainer, generation == tl_generation() else { return nil }
    return drainer.health.status(drainer.spool)
  }

  /// Waits until everything recorded so far is in the log and confirmed by the broker.
  ///
  /// - Returns: whether this happened within the timeout.
  public func flush(timeoutSeconds: Double) -> Bool {
    guard recorder != nil || publisher != nil, generation == tl_generation() else { return false }
    let deadline = SpoolThread.now() + Int64(saturating: max(0, min(timeoutSeconds, 1e6)) * 1e9)
    func flush(_ consumer: (any SpoolConsumer)?) -> Bool {
      consumer?.flush(timeoutSeconds: Double(deadline - SpoolThread.now()) / 1e9) ?? true
    }
    return flush(recorder) && flush(publisher)
  }

  /// Writes the remaining events and ends the run in the log. Blocks until that is done.
  public func finish() async {
    close()
  }

  /// The same for hosts without Swift Concurrency.
  public func close() {
    let isFirst = isFinished.withLock { finished in
      defer { finished = true }
      return !finished
    }
    // A forked child has no writing thread; the recording belongs to the parent.
    guard isFirst, generation == tl_generation() else { return }
    isOpen.close()
    retention?.stop()
    let marks = LastMarks(channels.withLock { $0.map(\.exclusions) })
    // Both are stopped at once: neither loses time to the other one's deadline.
    recorder?.thread.stop(recording: marks)
    publisher?.thread.stop(recording: marks)
    for message in [recorder?.thread.finish(), publisher?.thread.finish()] {
      if let message { problem("tasklog: \(message)") }
    }
    retention?.finish(within: options.closeSeconds)
    delivery?.finish()
  }
}

extension Recorder.Options {
  /// - Throws: `RecordingError.wrongRetention`.
  fileprivate var retentionRules: Retention.Rules? {
    get throws(RecordingError) {
      guard let keep else { return nil }
      guard let rules = Retention.Rules(keep) else { throw .wrongRetention(keep) }
      return rules
    }
  }

  /// The header of a run that begins now.
  fileprivate func header(run: String) -> RunHeader {
    RunHeader(
      id: run, engine: engine, engineVersion: engineVersion, recorderVersion: taskLogVersion,
      mode: mode, started: Clock.now(), metadata: metadataWithLimits)
  }
}

/// Whether events are accepted; read for each of them.
final class OpenFlag: Sendable {
  private let flag = Atomic(true)

  var value: Bool { flag.load(ordering: .relaxed) }

  func close() { flag.store(false, ordering: .releasing) }
}

private final class DisabledChannel: EventChannel {
  func record(_ event: Event) {}
}
