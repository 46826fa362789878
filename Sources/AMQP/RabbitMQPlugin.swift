import EventLog
import Recording
import TaskLogPlugin

/// Publishes the events of a scheduler and all of its workers, for other machines to process.
///
///     let cluster = try await LocalCluster(recorder: RabbitMQPlugin(url: "amqp://broker"))
///
/// It replaces a recorder: an event whose hook has returned is in a spool on the disk until the
/// broker has confirmed it, and survives the death of the process there. The next publisher with
/// this spool sends the rest. The scheduler runs whether or not there is a broker.
public final class RabbitMQPlugin: RecordingPlugin {
  private let recorder: Recorder

  /// - Parameters:
  ///   - url: see `AMQPAddress`. Credentials that it lacks come from the environment.
  ///   - queue: created as a durable queue if it does not exist.
  ///   - payload: complete events, with several per message on request, or the transitions of
  ///     Dask's documentation.
  ///   - spool: the folder for unconfirmed events.
  /// - Throws: `AMQPError` if the address or queue name is invalid, or this build has no RabbitMQ;
  ///   `LogError` if the spool cannot be written.
  public init(
    url: String, queue: String = Publishing.defaultQueue,
    payload: Publishing.Payload = .events(batch: 1), spool: String = Publishing.defaultSpool,
    options: Recorder.Options? = nil
  ) throws {
    recorder = try Recorder(
      publishing: Publishing(to: url, queue: queue, payload: payload, spool: spool),
      options: options)
  }

  /// The id of the published run.
  public var runID: String { recorder.runID }

  public func channel(for source: Source) -> any EventChannel { recorder.channel(for: source) }

  /// Waits until the broker has confirmed everything so far; returns whether it has, within the
  /// timeout.
  public func flush(timeoutSeconds: Double) -> Bool {
    recorder.flush(timeoutSeconds: timeoutSeconds)
  }

  /// Publishes the remaining events and the end of the run. Blocks until they are confirmed, or for
  /// `options.closeSeconds`; events that are not confirmed by then stay in the spool.
  public func finish() async { await recorder.finish() }
}
