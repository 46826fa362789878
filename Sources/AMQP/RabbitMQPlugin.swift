import EventLog
import Recording
import TaskLogPlugin

/// Publishes what a scheduler and all of its workers do, for other machines to work on.
///
///     let cluster = try await LocalCluster(recorder: RabbitMQPlugin(url: "amqp://broker"))
///
/// It takes a recorder's place: an event whose hook has returned lies in a spool on the disk until the
/// broker has confirmed it, and survives the death of the process there. The next publisher with this
/// spool sends what is left. There need be no broker for the scheduler to go on.
public final class RabbitMQPlugin: RecordingPlugin {
  private let recorder: Recorder

  /// - Parameters:
  ///   - url: see `AMQPAddress`. Without a user and password in it they come from the environment.
  ///   - queue: made durable where there is none.
  ///   - payload: whole events, many to a message when asked, or the transitions of Dask's
  ///     documentation.
  ///   - spool: the folder where events wait.
  /// - Throws: `AMQPError` when the address or queue cannot be right, or tasklog was built without
  ///   RabbitMQ; `LogError` when the spool cannot be written.
  public init(
    url: String, queue: String = Publishing.defaultQueue,
    payload: Publishing.Payload = .events(batch: 1), spool: String = Publishing.defaultSpool,
    options: Recorder.Options? = nil
  ) throws {
    recorder = try Recorder(
      publishing: Publishing(to: url, queue: queue, payload: payload, spool: spool),
      options: options)
  }

  /// The id of the run that is published.
  public var runID: String { recorder.runID }

  public func channel(for source: Source) -> any EventChannel { recorder.channel(for: source) }

  /// Waits until the broker has confirmed what has happened so far; whether it has, within the time.
  public func flush(timeoutSeconds: Double) -> Bool {
    recorder.flush(timeoutSeconds: timeoutSeconds)
  }

  /// Publishes what is left, and that the run is over. Blocks until that is confirmed, or for
  /// `options.closeSeconds`; what is not confirmed by then stays in the spool.
  public func finish() async { await recorder.finish() }
}
