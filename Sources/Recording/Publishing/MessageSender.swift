import EventLog
import LogFormat
import TaskLogPlugin

/// Publishes events that lie safe elsewhere, on the caller's thread: it waits where the broker does.
public final class MessageSender {
  private let connection: any MessageConnection
  private let maker: MessageBatcher
  private var window: InFlightWindow<Void>
  private var scratch = MessagePackWriter()
  private let timeoutNanoseconds: Int64
  /// Events that have been handed over, and messages that the broker has confirmed.
  public private(set) var eventCount: Int64 = 0
  public private(set) var messageCount: Int64 = 0

  /// Connects.
  ///
  /// - Parameter timeoutSeconds: how long the broker may say nothing.
  /// - Throws: what the connection throws.
  public init(_ publishing: Publishing, run: RunHeader, timeoutSeconds: Int64 = 60) throws {
    connection = try publishing.connect()
    maker = MessageBatcher(run: run, payload: publishing.payload)
    window = InFlightWindow(messages: publishing.windowMessages, bytes: publishing.windowBytes)
    timeoutNanoseconds = timeoutSeconds * 1_000_000_000
  }

  public func add(_ source: Source, number: Int) { _ = maker.add(source, run: 0, number: number) }

  /// - Throws: what the connection throws, `PublishingError`.
  public func send(_ event: Event, source: Int, sourceSeq: Int64) throws {
    scratch.removeAll()
    scratch.write(event, number: source, sourceSeq: sourceSeq)
    guard case .event(_, _, let encoded) = try SpoolRecord(scratch.bytes) else { return }
    try maker.append(encoded, source: Int64(source), sourceSeq: sourceSeq)
    eventCount += 1
    try send(all: false)
  }

  public func sendGap(source: Int, sourceSeq: Int64, count: Int64, time: Int64, reason: String) {
    maker.addGap(
      source: Int64(source), sourceSeq: sourceSeq, count: count, time: time, reason: reason)
  }

  /// Says that the run is over.
  public func end(_ how: RunEnd, at time: Int64, lastSourceSeqs: [(source: Int, last: Int64)]) {
    maker.end(how, at: time, lastSourceSeqs: lastSourceSeqs)
  }

  /// Waits until everything is confirmed.
  ///
  /// - Throws: as `send`.
  public func flush() throws {
    try send(all: true)
    while !window.isEmpty { try readConfirms() }
  }

  /// The same, and says goodbye.
  ///
  /// - Throws: as `send`.
  public func close() throws {
    try flush()
    connection.close()
  }

  private func send(all: Bool) throws {
    for body in maker.takeBodies(all: all) {
      while !window.hasRoom { try readConfirms() }
      window.add(body, ())
      try window.sendAll { try connection.send($0) }
    }
  }

  /// Waits for the broker's word on something.
  private func readConfirms() throws {
    let begin = SpoolThread.now()
    while true {
      let confirms = try connection.confirms(waitingMilliseconds: 500)
      for confirm in confirms {
        guard confirm.isAccepted else { throw PublishingError.refused }
        let before = window.count
        window.take(confirm)
        messageCount += Int64(before - window.count)
      }
      if !confirms.isEmpty { return }
      guard SpoolThread.now() - begin < timeoutNanoseconds else { throw PublishingError.silent }
    }
  }
}

/// Why a broker has not taken a message.
public enum PublishingError: Error, Sendable, CustomStringConvertible {
  case refused
  case silent

  public var description: String {
    switch self {
    case .refused: "the broker refuses a message: its queue may be full, or its disk"
    case .silent: "the broker does not answer any more"
    }
  }
}
