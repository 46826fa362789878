import EventLog
import LogFormat
import TaskLogPlugin

/// Publishes events that are stored elsewhere, on the caller's thread: it blocks while the broker
/// does.
package final class MessageSender {
  private let connection: any MessageConnection
  private let batcher: MessageBatcher
  private var window: InFlightWindow<Void>
  private var scratch = MessagePackWriter()
  private let timeoutNanoseconds: Int64
  /// The number of events accepted for sending, and of messages that the broker has confirmed.
  package private(set) var eventCount: Int64 = 0
  package private(set) var messageCount: Int64 = 0

  /// Connects to the broker.
  ///
  /// - Parameter timeoutSeconds: how long the broker may be silent.
  /// - Throws: the errors of the connection.
  package init(_ publishing: Publishing, run: RunHeader, timeoutSeconds: Int64 = 60) throws {
    connection = try publishing.connect()
    batcher = MessageBatcher(run: run, payload: publishing.payload)
    window = InFlightWindow(messages: publishing.windowMessages, bytes: publishing.windowBytes)
    timeoutNanoseconds = timeoutSeconds * 1_000_000_000
  }

  package func add(_ source: Source, number: Int) {
    _ = batcher.add(source, run: 0, number: number)
  }

  /// - Throws: the errors of the connection, `PublishingError`.
  package func send(_ event: Event, source: Int, sourceSeq: Int64) throws {
    scratch.removeAll()
    scratch.write(event, number: source, sourceSeq: sourceSeq)
    guard case .event(_, _, let encoded) = try SpoolRecord(scratch.bytes) else { return }
    try batcher.append(encoded, source: Int64(source), sourceSeq: sourceSeq)
    eventCount += 1
    try send(all: false)
  }

  package func sendGap(source: Int, sourceSeq: Int64, count: Int64, time: Int64, reason: String) {
    batcher.addGap(
      source: Int64(source), sourceSeq: sourceSeq, count: count, time: time, reason: reason)
  }

  /// Adds the end of the run.
  package func end(_ how: RunEnd, at time: Int64, lastSourceSeqs: [(source: Int, last: Int64)]) {
    batcher.end(how, at: time, lastSourceSeqs: lastSourceSeqs)
  }

  /// Waits until everything is confirmed.
  ///
  /// - Throws: as `send`.
  package func flush() throws {
    try send(all: true)
    while !window.isEmpty { try readConfirms() }
  }

  /// Waits until everything is confirmed and closes the connection.
  ///
  /// - Throws: as `send`.
  package func close() throws {
    try flush()
    connection.close()
  }

  private func send(all: Bool) throws {
    for body in batcher.removeBodies(all: all) {
      while !window.hasRoom { try readConfirms() }
      window.add(body, ())
      try window.sendAll { try connection.send($0) }
    }
  }

  /// Waits for at least one confirm.
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

/// Why a broker did not accept a message.
public enum PublishingError: Error, Sendable, CustomStringConvertible {
  case refused
  case silent

  public var description: String {
    switch self {
    case .refused: "the broker refused a message; its queue or its disk may be full"
    case .silent: "the broker does not answer"
    }
  }
}
