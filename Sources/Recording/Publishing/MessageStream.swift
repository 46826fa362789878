import EventLog
import LogFormat
import TaskLogPlugin

/// Turns the records of one spool into messages, and confirms into the position up to which the
/// spool is no longer needed.
///
/// Independent of threads and connections; a publisher drives it with its live spool and with those
/// of publishers that died.
struct MessageStream {
  private(set) var state: PublisherState
  private var drain: SpoolDrain
  private let batcher: MessageBatcher
  private(set) var window: InFlightWindow<SpoolPosition>
  /// The position up to which records have been consumed.
  private var consumed: SpoolPosition
  /// Since when events have waited for others to share a message with.
  private var waitingSince: Int64?

  init(_ state: PublisherState, _ publishing: Publishing) {
    self.state = state
    window = InFlightWindow(messages: publishing.windowMessages, bytes: publishing.windowBytes)
    batcher = MessageBatcher(run: state.run, payload: state.payload)
    consumed = state.position
    var progress: [Int: LogWriter.SourceProgress] = [:]
    for (index, source) in state.sources {
      progress[index] = .init(
        id: batcher.add(source, run: 0, number: index), lastSourceSeq: SpoolDrain.unknownSeq)
    }
    drain = SpoolDrain(run: 0, sources: progress)
  }

  /// Consumes a record; `next` is where the following one begins.
  mutating func take(
    _ content: UnsafeRawBufferPointer, at position: SpoolPosition, readTo next: SpoolPosition
  ) throws {
    try drain.take(content, at: position, into: batcher)
    consumed = drain.position(readTo: next)
    add(all: false)
  }

  /// Records a gap for events of a source that are missing up to the last one.
  mutating func fill(_ index: Int, through last: Int64, _ reason: String) throws {
    try drain.fill(index, through: last, reason, Clock.now(), batcher)
  }

  /// Adds the end of the run.
  ///
  /// - Parameter time: by default that of the last event.
  mutating func end(
    _ how: RunEnd, at time: Int64? = nil, lastSourceSeqs: [(source: Int, last: Int64)]
  ) {
    batcher.end(
      how, at: time ?? batcher.lastTime ?? Clock.now(), lastSourceSeqs: lastSourceSeqs)
    add(all: true)
  }

  /// Completes the current message if its events have waited long enough.
  mutating func linger(_ nanoseconds: Int64, now: Int64) {
    guard batcher.isWaiting else {
      waitingSince = nil
      return
    }
    guard let since = waitingSince else {
      waitingSince = now
      return
    }
    if now - since >= nanoseconds { add(all: true) }
  }

  /// Completes the current message.
  mutating func flush() { add(all: true) }

  private mutating func add(all: Bool) {
    for body in batcher.removeBodies(all: all) { window.add(body, consumed) }
    if !batcher.isWaiting { waitingSince = nil }
  }

  mutating func sendAll(_ connection: any MessageConnection) throws {
    try window.sendAll { try connection.send($0) }
  }

  mutating func take(_ confirm: MessageConfirm) { window.take(confirm) }

  mutating func reconnect() { window.reconnect() }

  /// Everything before this position has been confirmed.
  var confirmed: SpoolPosition {
    if window.isEmpty, !batcher.isWaiting { return consumed }
    return max(window.confirmedMark ?? state.position, state.position)
  }

  var isDone: Bool { window.isEmpty && !batcher.isWaiting }

  /// Stores that the run was closed without the broker being notified.
  mutating func close(at time: Int64) { state.closed = time }

  /// Saves the progress, for the publisher that resumes after a death.
  mutating func save(in folder: String) throws {
    state.position = confirmed
    for (index, source) in drain.registeredSources { state.sources[index] = source }
    try state.save(in: folder)
  }
}
