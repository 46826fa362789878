import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Synchronization
import TaskLogPlugin

/// Delivers copies of a run's log to where they outlive this machine, on its own thread: a
/// destination that is full, slow or gone costs the recorder nothing.
///
/// A copy is whole and consistent in itself. Segments that a rotated run has completed are delivered
/// once; the last one again after each interval in which it changed, and at the end.
final class Delivery: @unchecked Sendable {
  struct Settings: Sendable {
    var destination: Destination
    /// The name of the copy of the first segment, if it should not contain the id of the run.
    var exactName: String?
    var intervalSeconds: Double
    /// How long the last delivery may take.
    var closeSeconds: Double
    var problem: @Sendable (String) -> Void
  }

  /// How it stands.
  struct State: Sendable {
    var copies = 0
    var failures = 0
    /// When the last copy that was delivered was made; nanoseconds since 1970 UTC.
    var delivered: Int64?
    /// Since when nothing could be delivered, and why; `nil` if the last attempt succeeded.
    var failingSince: Int64?
    var error: String?
  }

  /// A file of the run.
  private struct Segment {
    var path: String
    /// Its version when it was copied last, and when that was.
    var version: Version?
    var time: Int64 = 0
  }

  /// Distinguishes the content of a log from an earlier one.
  private struct Version: Equatable {
    private var parts: [Int64] = []
    var isMissing: Bool { parts.isEmpty }

    init(_ log: String) {
      for path in [log, log + "-wal"] {
        var status = stat()
        guard stat(path, &status) == 0 else { continue }
        let time = status.st_mtim
        parts += [
          Int64(status.st_ino), Int64(status.st_size), Int64(time.tv_sec), Int64(time.tv_nsec),
        ]
      }
    }
  }

  /// A copy is made anew after so many intervals, even if nothing has changed: it shows that its run
  /// is alive.
  static let intervalsUntilRenewal = RunInfo.intervalsUntilOverdue / 2
  private static let pollMicroseconds: UInt32 = 20_000
  /// How long a command may take, in intervals and at least.
  private static let patience = (intervals: 10.0, seconds: 600.0)

  private let settings: Settings
  private let run: String
  private let folder: DeliveryFolder?
  private let segments: Mutex<[Segment]>
  private let status = Mutex(State())
  private let isStopping = Atomic(false)
  private let hasEnded = Atomic(false)
  private let deadline = Atomic<Int64>(.max)
  private let scratch: ScratchFolder

  init(_ settings: Settings, run: String, log: String) {
    self.settings = settings
    self.run = run
    folder =
      switch settings.destination {
      case .folder(let path): DeliveryFolder(path, run: run, exactName: settings.exactName)
      case .command: nil
      }
    segments = Mutex([Segment(path: log)])
    // In the folder of the log, where there is room for one.
    scratch = ScratchFolder(in: log.parentFolder)
  }

  var destination: Destination { settings.destination }
  var state: State { status.withLock { $0 } }

  /// - Throws: `LogError.cannotWrite` if no thread can be started.
  func start() throws {
    if let reason = DetachedThread.start("tasklog-deliver", work) {
      throw LogError.cannotWrite(path: settings.destination.text, reason: reason)
    }
  }

  /// The run continues in another segment.
  func continueIn(_ path: String) {
    segments.withLock { $0.append(Segment(path: path)) }
  }

  /// Delivers the log as it is at its end, and waits for that.
  func finish() {
    let end = SpoolThread.now() + Int64(saturating: settings.closeSeconds * 1e9)
    deadline.store(end, ordering: .relaxed)
    isStopping.store(true, ordering: .releasing)
    // A little longer, so that the thread reports itself what it could not do.
    while !hasEnded.load(ordering: .acquiring), SpoolThread.now() < end + 500_000_000 {
      usleep(Self.pollMicroseconds / 4)
    }
    if !hasEnded.load(ordering: .acquiring) {
      settings.problem(
        "tasklog: \(settings.destination.text) does not answer: the end of run \(run) is not there; "
          + "the log is \(place)")
    }
  }

  private var place: String {
    let last = segments.withLock { $0.last?.path ?? "" }
    return "on host \(LogLocation.host): \(last.absolutePath)"
  }

  // MARK: - The thread

  private func work() {
    let interval = Int64(saturating: settings.intervalSeconds * 1e9)
    var next = SpoolThread.now() + interval
    while !isStopping.load(ordering: .acquiring) {
      if SpoolThread.now() >= next {
        deliver(isLast: false)
        next = SpoolThread.now() + interval
      } else {
        usleep(Self.pollMicroseconds)
      }
    }
    deliver(isLast: true)
    scratch.remove()
    hasEnded.store(true, ordering: .releasing)
  }

  private func deliver(isLast: Bool) {
    var pending = segments.withLock { $0 }
    for index in pending.indices {
      let segment = pending[index]
      let version = Version(segment.path)
      let isCurrent = index == pending.indices.last
      let isDue = version != segment.version || isCurrent && !isLast && isStale(segment)
      // An earlier one may have been removed by age or size.
      guard isDue, isCurrent || !version.isMissing else { continue }
      do {
        pending[index].time = Clock.now()
        try deliver(segment.path, isLast: isLast)
        pending[index].version = version
        segments.withLock { $0[index] = pending[index] }
        succeeded(pending[index].time, segment.path)
      } catch {
        failed(error, segment.path, isLast: isLast)
      }
    }
  }

  private func isStale(_ segment: Segment) -> Bool {
    Double(Clock.now() - segment.time) / 1e9
      >= settings.intervalSeconds * Double(Self.intervalsUntilRenewal)
  }

  private func deliver(_ log: String, isLast: Bool) throws(DeliveryError) {
    let name = log.lastPathComponent
    let copy = scratch.path(DeliveryFolder.copyName(name, run: run))
    defer { unlink(copy) }
    let descriptor = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(copy) }
    var mode = stat()
    if stat(log, &mode) == 0 { fchmod(descriptor, mode.st_mode & 0o777) }
    close(descriptor)
    let begin = SpoolThread.now()
    do {
      try LogCopy.copy(log, to: copy, interval: Int64(saturating: settings.intervalSeconds * 1e9))
    } catch {
      throw DeliveryError(description: "\(error)")
    }
    func isOutOfTime() -> Bool { SpoolThread.now() > deadline.load(ordering: .relaxed) }
    switch settings.destination {
    case .folder:
      _ = try folder?.put(copy, as: name, unless: isOutOfTime)
    case .command(let command):
      let limit = Int64(
        saturating:
          max(settings.intervalSeconds * Self.patience.intervals, Self.patience.seconds) * 1e9)
      try DeliveryCommand(command: command).run(copy, errors: scratch.path("errors")) {
        isOutOfTime() || SpoolThread.now() - begin > limit
      }
    }
  }

  // MARK: - What is said about it

  private func succeeded(_ time: Int64, _ log: String) {
    let wasFailing = status.withLock { state in
      defer {
        state.copies += 1
        state.delivered = time
        (state.failingSince, state.error) = (nil, nil)
      }
      return state.failingSince != nil
    }
    guard wasFailing else { return }
    settings.problem(
      "tasklog: copies of \(log) are delivered to \(settings.destination.text) again")
    mark(log)
  }

  private func failed(_ error: DeliveryError, _ log: String, isLast: Bool) {
    let isFirst = status.withLock { state in
      let isFirst = state.failingSince == nil
      state.failures += 1
      if isFirst { state.failingSince = Clock.now() }
      state.error = error.description
      return isFirst
    }
    if isLast {
      settings.problem(
        "tasklog: the end of run \(run) is not in \(settings.destination.text): \(error); the log is "
          + place)
    } else if isFirst {
      settings.problem(
        "tasklog: cannot deliver a copy of \(log) to \(settings.destination.text), will try again: "
          + "\(error); the log is \(place)")
    }
    if isFirst || isLast { mark(log) }
  }

  /// Keeps in the log itself what could not be delivered.
  private func mark(_ log: String) {
    let state = state
    let entries: [(String, Value)] = [
      ("destination", .string(settings.destination.text)), ("host", .string(LogLocation.host)),
      ("path", .string(log.absolutePath)), ("failures", .int(Int64(state.failures))),
      ("delivered", state.delivered.map { .int($0) } ?? .null),
      ("failing_since", state.failingSince.map { .int($0) } ?? .null),
      ("error", state.error.map { .string($0) } ?? .null),
    ]
    // The host continues if its log cannot be written; the recorder reports that.
    try? LogWriter.note(
      RunMetadataKey.delivery, .dict(entries.map { .init(.string($0.0), $0.1) }), run: run, log: log
    )
  }
}

extension Recorder.Options {
  /// What is delivered of a log; `nil` for nothing.
  ///
  /// - Parameters:
  ///   - log: the requested path.
  ///   - isElsewhere: whether it is recorded to another one.
  /// - Throws: `RecordingError`.
  func delivery(
    of log: String, isElsewhere: Bool
  ) throws(RecordingError) -> Delivery.Settings? {
    guard (1...86_400).contains(deliverEverySeconds), (0...86_400).contains(deliverSeconds) else {
      throw .wrongDelivery
    }
    guard let destination = Destination(deliver ?? (isElsewhere ? log.parentFolder : "none")) else {
      return nil
    }
    let isAtRequestedPath = deliver == nil && !LogTemplate.isTemplate(log)
    return Delivery.Settings(
      destination: destination, exactName: isAtRequestedPath ? log.lastPathComponent : nil,
      intervalSeconds: deliverEverySeconds, closeSeconds: deliverSeconds, problem: problem)
  }
}
