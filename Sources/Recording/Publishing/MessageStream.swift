import EventLog
import LogFormat
import TaskLogPlugin

/// One spool on its way to a broker: from records to messages, and from confirms to the position up
/// to which the spool is needed no more.
///
/// Knows nothing of threads and connections; a publisher drives it with its live spool and with those
/// of publishers that died.
struct MessageStream {
  private(set) var state: PublisherState
  private var drain: SpoolDrain
  private let maker: MessageBatcher
  private(set) var window: InFlightWindow<SpoolPosition>
  /// Up to where records have been taken in.
  private var taken: SpoolPosition
  /// Since when events wait for others to go with.
  private var waitingSince: Int64?

  init(_ state: PublisherState, _ publishing: Publishing) {
    self.state = state
    window = InFlightWindow(messages: publishing.windowMessages, bytes: publishing.windowBytes)
    maker = MessageBatcher(run: state.run, payload: state.payload)
    taken = state.position
    var progress: [Int: LogWriter.SourceProgress] = [:]
    for (number, source) in state.sources {
      progress[number] = .init(
        id: maker.add(source, run: 0, number: number), lastSourceSeq: SpoolDrain.unknownSeq)
    }
    drain = SpoolDrain(run: 0, sources: progress)
  }

  /// A record, and where the next one begins.
  mutating func take(
    _ content: UnsafeRawBufferPointer, at position: SpoolPosition, readTo next: SpoolPosition
  ) throws {
    try drain.take(content, at: position, into: maker)
    taken = drain.position(readTo: next)
    add(all: false)
  }

  /// The number of a source's last event; what is missing before it becomes a gap.
  mutating func fill(_ number: Int, through last: Int64, _ reason: String) throws {
    try drain.fill(number, through: last, reason, Clock.now(), maker)
  }

  /// Says that the run is over.
  ///
  /// - Parameter time: by default that of the last event.
  mutating func end(
    _ how: RunEnd, at time: Int64? = nil, lastSourceSeqs: [(source: Int, last: Int64)]
  ) {
    maker.end(
      how, at: time ?? maker.lastTime ?? Clock.now(), lastSourceSeqs: lastSourceSeqs)
    add(all: true)
  }

  /// Lets go of events that have waited for others long enough.
  mutating func linger(_ nanoseconds: Int64, now: Int64) {
    guard maker.isWaiting else {
      waitingSince = nil
      return
    }
    guard let since = waitingSince else {
      waitingSince = now
      return
    }
    if now - since >= nanoseconds { add(all: true) }
  }

  /// Sends on everything.
  mutating func flush() { add(all: true) }

  private mutating func add(all: Bool) {
    for body in maker.takeBodies(all: all) { window.add(body, taken) }
    if !maker.isWaiting { waitingSince = nil }
  }

  mutating func sendAll(_ connection: any MessageConnection) throws {
    try window.sendAll { try connection.send($0) }
  }

  mutating func take(_ confirm: MessageConfirm) { window.take(confirm) }

  mutating func reconnect() { window.reconnect() }

  /// Everything before this is with the broker.
  var confirmed: SpoolPosition {
    if window.isEmpty, !maker.isWaiting { return taken }
    return max(window.confirmedMark ?? state.position, state.position)
  }

  var isDone: Bool { window.isEmpty && !maker.isWaiting }

  /// The run was closed, and nobody could be told.
  mutating func close(at time: Int64) { state.closed = time }

  /// Notes how far it has come, for whoever goes on after a death.
  mutating func save(in folder: String) throws {
    state.position = confirmed
    for (number, source) in drain.registeredSources { state.sources[number] = source }
    try state.save(in: folder)
  }
}
