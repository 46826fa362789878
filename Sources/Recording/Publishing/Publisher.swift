import BrokerMessages
import CSupport
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The publishing thread: sends the records of the spool to a broker. A record stays in the spool
/// until the broker has confirmed it.
///
/// A broker that is unreachable or hangs blocks only this thread: events accumulate in the spool up
/// to its limit, and are sent once there is a broker again.
final class Publisher: SpoolConsumer, @unchecked Sendable {
  struct Settings: Sendable {
    /// How long the thread waits if there is nothing to do.
    var pauseMilliseconds: Int
    /// How long an event waits for others to share a message with.
    var lingerNanoseconds: Int64 = 20_000_000
    /// How often the progress is saved.
    var saveNanoseconds: Int64 = 1_000_000_000
    var patienceNanoseconds: Int64 = 1_000_000_000
    /// How long closing may take if there is no broker.
    var closeNanoseconds: Int64
    /// The delay between two attempts to connect: doubled after each, from the first to the last.
    var firstBackoffNanoseconds: Int64 = 100_000_000
    var lastBackoffNanoseconds: Int64 = 5_000_000_000
    var problem: @Sendable (String) -> Void
  }

  let thread: SpoolThread

  var path: String { spool.folder }

  // All of these belong to the publishing thread, from its start to its end.
  private let publishing: Publishing
  let spool: Spool
  private let settings: Settings
  private var lock: RecorderLock?
  private var stream: MessageStream
  private var tail: SpoolTail
  private var connection: (any MessageConnection)?
  private var connectedAt: Int64 = 0
  private var nextAttempt: Int64 = 0
  private var backoff: Int64
  private var lastSave: Int64
  /// Nothing is sent until then: the broker has refused messages.
  private var blockedUntil: Int64 = 0
  private var outage = OutageReporting()
  private var hasPublishedOrphans = false
  /// Whether there was a connection before, so that the queue existed.
  private var hasConnected = false
  /// Folders whose spools cannot be identified and that have been reported.
  private var unreadable: Set<String> = []

  init(
    publishing: Publishing, header: RunHeader, spool: Spool, lock: RecorderLock, settings: Settings
  ) throws {
    self.publishing = publishing
    self.spool = spool
    self.lock = lock
    self.settings = settings
    thread = SpoolThread(closeNanoseconds: settings.closeNanoseconds)
    let state = PublisherState(
      run: header, payload: publishing.payload, destination: publishing.destination)
    try state.save(in: spool.folder)
    stream = MessageStream(state, publishing)
    tail = SpoolTail(
      SpoolReader(from: .start) { spool.mapping(of: $0) },
      patienceNanoseconds: settings.patienceNanoseconds)
    backoff = settings.firstBackoffNanoseconds
    lastSave = SpoolThread.now()
  }

  // MARK: - The thread

  func work() {
    while !thread.isStopping {
      spool.prepare()
      step()
    }
    end()
    connection?.close()
    connection = nil
    lock = nil
  }

  /// Sends as many messages as there is room for, and reads confirms.
  private func step() {
    guard let connection = connection ?? connected() else {
      usleep(UInt32(settings.pauseMilliseconds) * 1000)
      return
    }
    do {
      let isBlocked = SpoolThread.now() < blockedUntil
      let isMore = try !isBlocked && fill()
      stream.linger(thread.hasWaiters ? 0 : settings.lingerNanoseconds, now: SpoolThread.now())
      if !isBlocked { try stream.sendAll(connection) }
      let isFull = !stream.window.hasRoom
      let confirms = try connection.confirms(
        waitingMilliseconds: isMore && !isFull ? 0 : settings.pauseMilliseconds)
      for confirm in confirms { stream.take(confirm) }
      if confirms.contains(where: { !$0.isAccepted }) { waitForRoom() }
      // A connection that is dropped at once does not count as a success.
      if stream.window.unsentCount == 0,
        !confirms.isEmpty || SpoolThread.now() - connectedAt > settings.lastBackoffNanoseconds
      {
        backoff = settings.firstBackoffNanoseconds
        outage.succeed(at: SpoolThread.now())
      }
      thread.note(stream.confirmed)
      saveWhenDue()
    } catch {
      disconnect(connection, error)
    }
  }

  /// Consumes records while there is room; returns whether there are more.
  private func fill() throws -> Bool {
    let end = spool.end
    var count = 0
    while stream.window.hasRoom {
      guard let record = tail.next(before: end) else { return false }
      try stream.take(record.content, at: record.position, readTo: tail.position)
      count += 1
      if count & 255 == 0 {
        spool.prepare()
        // Confirms must be read in time.
        if count >= 4096 { return true }
      }
    }
    return true
  }

  /// Saves the progress and removes what is no longer needed, at intervals.
  private func saveWhenDue() {
    guard SpoolThread.now() - lastSave > settings.saveNanoseconds else { return }
    lastSave = SpoolThread.now()
    save()
  }

  private func save() {
    guard stream.confirmed != stream.state.position else { return }
    do {
      try stream.save(in: spool.folder)
      spool.remove(before: stream.state.position, keepMapped: tail.reader.unfinished)
    } catch {
      report("cannot save the progress: \(error)")
    }
  }

  // MARK: - The connection

  private func connected() -> (any MessageConnection)? {
    guard SpoolThread.now() >= nextAttempt else { return nil }
    do {
      if !hasPublishedOrphans { try publishOrphanedSpools() }
      let fresh = try publishing.connect()
      connection = fresh
      connectedAt = SpoolThread.now()
      stream.reconnect()
      if hasConnected, fresh.isQueueNew {
        settings.problem(
          "tasklog: \(publishing.destination): the queue was deleted and has been created again; "
            + "events that were confirmed and not yet consumed are lost")
      }
      hasConnected = true
      return fresh
    } catch {
      wait(error)
      return nil
    }
  }

  private func disconnect(_ connection: any MessageConnection, _ error: any Error) {
    self.connection = nil
    wait(error)
  }

  private func wait(_ error: any Error) {
    nextAttempt = SpoolThread.now() + nextBackoff()
    report("\(error); events stay in \(spool.folder)")
  }

  /// Pauses sending after the broker has refused messages.
  private func waitForRoom() {
    guard SpoolThread.now() >= blockedUntil else { return }
    blockedUntil = SpoolThread.now() + nextBackoff()
    report("\(PublishingError.refused); events stay in \(spool.folder)")
  }

  private func nextBackoff() -> Int64 {
    defer { backoff = min(backoff * 2, settings.lastBackoffNanoseconds) }
    return backoff
  }

  /// Reports a problem, once per outage.
  private func report(_ message: String) {
    guard outage.fail(at: SpoolThread.now()) else { return }
    settings.problem(
      "tasklog: cannot publish to \(publishing.destination), will try again: \(message)")
  }

  /// Publishes the orphaned spools in this spool folder, before this publisher's own events.
  private func publishOrphanedSpools() throws {
    let all = OrphanedSpool.all(
      in: publishing.spool, but: stream.state.run.id, publishing
    ) { folder in
      guard unreadable.insert(folder).inserted else { return }
      settings.problem(
        "tasklog: \(folder)/\(PublisherState.name) cannot be read; the events in this folder "
          + "stay unpublished")
    }
    for orphan in all {
      let connection = try publishing.connect()
      defer { connection.close() }
      let isDone = try orphan.publish(connection) {
        spool.prepare()
        return !thread.isStopping
      }
      guard isDone else { return }
      settings.problem(
        "tasklog: published the events of run \(orphan.run), which "
          + "\(orphan.hasDied ? "died" : "is closed"), from \(publishing.spool)")
    }
    hasPublishedOrphans = true
  }

  // MARK: - The end

  private func end() {
    let (closed, deadline) = (Clock.now(), thread.deadline)
    var (hasMarks, hasEnded) = (false, false)
    while SpoolThread.now() < deadline {
      if !hasMarks, tail.position >= spool.end {
        hasMarks = true
        storeLastMarks()
      }
      if !hasEnded, hasMarks, tail.position >= spool.end {
        hasEnded = true
        do {
          let lasts = spool.lastSourceSeqs
          for (index, last) in lasts {
            try stream.fill(index, through: last, spool.reasonForLoss)
          }
          stream.end(.closed, at: closed, lastSourceSeqs: lasts)
        } catch {
          report("\(error)")
        }
      }
      step()
      if hasEnded, stream.isDone {
        spool.removeAll()
        PublisherState.remove(from: spool.folder)
        return
      }
    }
    if !hasMarks { storeLastMarks() }
    saveUnfinished(closedAt: closed)
  }

  private func saveUnfinished(closedAt time: Int64) {
    stream.close(at: time)
    do {
      try stream.save(in: spool.folder)
    } catch {
      report("cannot save the progress: \(error)")
    }
    lock?.leaveFolder()
    thread.setFailure(
      "\(publishing.destination): not everything was confirmed in time; the rest stays in "
        + "\(spool.folder), and the next publisher with this spool sends it")
  }
}
