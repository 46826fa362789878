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
/// An event whose hook has returned is in the spool beside the log: the death of the process does not
/// lose it. With `TASKLOG_DISABLED=1` in the environment a recorder does nothing.
public final class Recorder: RecordingPlugin {
  public struct Options: Sendable {
    /// What happens when the spool has reached its limit.
    public enum Overflow: Sendable {
      /// Events are dropped and counted as a gap.
      case drop
      /// The caller waits until there is room.
      case wait
    }

    /// At most so many bytes lie in the spool. By default the smaller of 4 GiB and a quarter of the
    /// disk's free space.
    public var spoolLimit: Int?
    public var overflow = Overflow.drop
    /// The spool is made of files of this size, in bytes.
    public var segmentSize = 4 << 20
    /// How long the writing thread waits when there is nothing to do, in microseconds.
    public var pauseMicroseconds: UInt32 = 10_000
    /// A loss of power costs at most what was recorded in so many seconds. So often a commit is
    /// `PRAGMA synchronous = FULL`, the others are `NORMAL`; with 0 each of them is `FULL`.
    public var syncSeconds: Double = 1
    /// How long the end of a recording may take when the log cannot be written.
    public var closeSeconds: Double = 10
    /// Start a new segment when the current one has grown by this number of bytes, or reached this age.
    /// The name of the log must contain `{run}`: with `logs/{run}.db` the second segment is `logs/ID.2.db`.
    public var rotateBytes: Int64?
    public var rotateSeconds: Double?
    /// A folder in which workers on this host keep what they have recorded: what dead ones have left
    /// there of runs that are over, and in this log, is put into it.
    public var workerSpools: String?
    /// Names of args whose values are not to be kept, with `*` and `?`, also at any depth within
    /// dictionaries; capital letters do not matter. They are replaced before anything reaches the
    /// disk. The text of an exception is covered only by its own names (`exceptionText`, …).
    public var redactedArgs: [String] = []
    /// The args of one event are at most so many bytes; by default as many as they are. Of what is
    /// longer the head is kept, with its true length.
    public var maximumArgsBytes: Int?
    /// Which events are recorded; by default all.
    public var filter = Filter()
    /// The engine that is recorded.
    public var engine = "tasklog"
    public var engineVersion = taskLogVersion
    /// `full` when all marks are recorded, `hooks` when only public hooks are.
    public var mode = "full"
    public var metadata: Value = .dict([])
    /// Where problems are told. By default the standard error.
    public var problem: @Sendable (String) -> Void = { Recorder.complain($0) }

    public init() {}
  }

  private struct Channels {
    var all: [SpoolChannel] = []
  }

  /// The id of the run that is recorded.
  public let runID = RunID.make()
  /// Where it is recorded, at first: not always where it was asked for, see `LogLocation`. `{run}` in the
  /// name is the run's id, see `LogTemplate`. Of a recorder that publishes, the folder of its spool.
  public let log: String
  /// The same with `{run}` in it where it is in the name.
  let template: String
  let problem: @Sendable (String) -> Void
  private let waits: Bool
  private let redaction: Redaction?
  private let options: Options
  private let verified: [any Plugin.Type]
  private let every: Int
  /// Each takes care of a spool of its own: none when recording is disabled.
  private let takers: [any SpoolConsumer]
  private let channels = Mutex(Channels())
  private let isOpen = OpenFlag()
  private let isFinished = Mutex(false)
  private let generation = tl_generation()

  /// Opens a log (makes it where there is none), recovers what dead recorders have left in it,
  /// begins a run and starts the thread that writes.
  ///
  /// - Parameters:
  ///   - options: those of the environment when none are given.
  ///   - verify: plugins of which an instance is called with the run, and what it reports is noted
  ///     in the log, for `tasklog replay --verify` to compare.
  ///   - every: after how many calls on each source it is noted, beside the end; 0 for the end only.
  ///   - publishing: where the same events are published, too, under the same identities.
  /// - Throws: `RecordingError` when an option cannot be; `LogError` when there is no way to write the
  ///   log. A host that wants to run without being recorded then goes on without a recorder.
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
    if !Self.isDisabled, let network = LogLocation.networkFileSystem(of: log) {
      let standIn = try LogLocation.standIn(for: log)
      options.problem(
        "tasklog: \(log) would be on \(network), which is not known to be a local file system, and "
          + "a log is not safe there; it is recorded on host \(LogLocation.host), into \(standIn)")
      log = standIn
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
      takers = []
      return
    }
    if isTemplate {
      LogTemplate.makeFolder(template)
      Recovery.recoverAll(template, options.problem)
    }
    let writer = try LogWriter(path: log)
    let lock = try RecorderLock(log: log, run: runID)
    do {
      for recovered in try Recovery.recover(writer) where recovered.events > 0 {
        options.problem("tasklog: \(recovered.text)")
      }
      let header = options.header(run: runID)
      // Before there is a run in the log, which would otherwise never end.
      let publisher = try publishing.map { try Publisher($0, header, options) }
      let run = try writer.transaction { try writer.add(header) }
      let spool = try Spool(
        folder: lock.path, segmentSize: max(4096, options.segmentSize),
        limit: options.spoolLimit ?? Self.defaultLimit(log))
      let drainer = Drainer(
        writer: writer, run: run, header: header, spool: spool, lock: lock,
        settings: .init(
          pauseMicroseconds: options.pauseMicroseconds,
          syncNanoseconds: Int64(options.syncSeconds * 1e9),
          closeNanoseconds: Int64(options.closeSeconds * 1e9),
          rotation: options.rotation(template), problem: options.problem))
      takers = [drainer] + (publisher.map { [$0] } ?? [])
      for taker in takers { try taker.start() }
      if let folder = options.workerSpools { pickUp(folder) }
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: log, reason: error.message)
    } catch let error as SpoolError {
      throw LogError.cannotWrite(path: log, reason: error.description)
    }
  }

  /// Publishes instead of recording into a log: what is recorded lies in a spool until a broker has
  /// confirmed it. There need be no broker for the host to go on, now or later.
  ///
  /// - Throws: `RecordingError` when an option cannot be; `LogError` when there is no way to write the
  ///   spool.
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
      takers = []
      return
    }
    let publisher = try Publisher(publishing, options.header(run: runID), options)
    takers = [publisher]
    try publisher.start()
  }

  public static var isDisabled: Bool {
    guard let value = getenv("TASKLOG_DISABLED") else { return false }
    return String(cString: value) == "1"
  }

  static func defaultLimit(_ log: String) -> Int {
    var status = statvfs()
    let most = 4 << 30
    guard statvfs(log, &status) == 0 else { return most }
    let free = Int(
      clamping: UInt64(status.f_bavail).multipliedReportingOverflow(
        by: UInt64(status.f_frsize)
      ).partialValue)
    return min(most, free / 4)
  }

  static func complain(_ message: String) {
    let line = Array((message + "\n").utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  public func channel(for source: Source) -> any EventChannel {
    guard let channel = spoolChannel(for: source) else { return DisabledChannel() }
    return channel
  }

  public func schedulerPlugins(noting channel: any EventChannel) -> [any SchedulerPlugin] {
    func noting<Noted: SchedulerPlugin>(_ type: Noted.Type) -> any SchedulerPlugin {
      ShadowSchedulerPlugin(type, ReportRecorder(channel, every: every))
    }
    return verified.compactMap { type in (type as? any SchedulerPlugin.Type).map { noting($0) } }
  }

  public func workerPlugins(noting channel: any EventChannel) -> [any WorkerPlugin] {
    func noting<Noted: WorkerPlugin>(_ type: Noted.Type) -> any WorkerPlugin {
      ShadowWorkerPlugin(type, ReportRecorder(channel, every: every))
    }
    return verified.compactMap { type in (type as? any WorkerPlugin.Type).map { noting($0) } }
  }

  /// Nothing when recording is disabled.
  func spoolChannel(for source: Source) -> SpoolChannel? {
    guard let first = takers.first else { return nil }
    return channels.withLock { channels in
      let number = channels.all.count
      let second = takers.dropFirst().first.map {
        SpoolChannel(
          number: number, source: source, spool: $0.spool, waits: waits, limits: nil,
          isOpen: isOpen)
      }
      let channel = SpoolChannel(
        number: number, source: source, spool: first.spool, waits: waits,
        limits: SourceLimits(options, redaction: redaction, source), isOpen: isOpen,
        second: second)
      channels.all.append(channel)
      return channel
    }
  }

  /// Waits until what has been recorded so far is in the log, and with the broker.
  ///
  /// - Returns: whether it is, within the time.
  public func flush(timeoutSeconds: Double) -> Bool {
    guard !takers.isEmpty, generation == tl_generation() else { return false }
    let deadline = SpoolThread.now() + Int64(max(0, min(timeoutSeconds, 1e6)) * 1e9)
    return takers.allSatisfy {
      $0.flush(timeoutSeconds: Double(deadline - SpoolThread.now()) / 1e9)
    }
  }

  /// Writes out what is left and ends the run in the log. Blocks until that is done.
  public func finish() async {
    close()
  }

  /// The same for hosts without Swift Concurrency.
  public func close() {
    let isFirst = isFinished.withLock { finished in
      defer { finished = true }
      return !finished
    }
    // In the child of a fork there is no thread that writes; the recording is the parent's.
    guard isFirst, generation == tl_generation() else { return }
    isOpen.close()
    let marks = LastMarks(channels.withLock { $0.all.map(\.exclusions) })
    // All at once: none has less time for the time that another one needs.
    for taker in takers { taker.thread.stop(noting: marks) }
    for taker in takers {
      if let message = taker.thread.finish() { problem("tasklog: \(message)") }
    }
  }
}

extension Recorder.Options {
  /// What is known of a run that begins now.
  fileprivate func header(run: String) -> RunHeader {
    RunHeader(
      id: run, engine: engine, engineVersion: engineVersion, recorderVersion: taskLogVersion,
      mode: mode, started: Clock.now(), metadata: metadataWithLimits)
  }
}

/// Whether events are taken in; read for each of them.
final class OpenFlag: Sendable {
  private let flag = Atomic(true)

  var value: Bool { flag.load(ordering: .relaxed) }

  func close() { flag.store(false, ordering: .releasing) }
}

private final class DisabledChannel: EventChannel {
  func record(_ event: Event) {}
}
