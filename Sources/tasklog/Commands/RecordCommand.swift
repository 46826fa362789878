import AMQP
import ArgumentParser
import BrokerMessages
import Glibc
import LogFormat
import Querying
import Recording

struct RecordCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "record",
    abstract: "Record from a RabbitMQ queue into a log.",
    discussion: """
      Records two kinds of messages: whole events, as sent by RabbitMQPlugin and by the Python \
      recorder with publish=, each stored once however often it is delivered; and the key, start \
      and finish sent by the plugin in Dask's documentation, stored in a separate run. A message \
      is acknowledged when it is on the disk. Any other message is stored with its bytes, as an \
      event 'malformed'.

      Several recorders can share a queue; each log is then partial, and commands that read all of \
      them see the whole run. Ctrl-C and SIGTERM end the recording without losing events.

      The user and password come from the address, or from TASKLOG_AMQP_USER and \
      TASKLOG_AMQP_PASSWORD. amqps:// verifies the broker's certificate.

      Examples:
        tasklog record --from amqp://broker --log dask.db
        tasklog record --from amqps://broker/production --queue dask_task_status
      """)

  @Option(
    name: .customLong("from"),
    help: ArgumentHelp(
      "The broker, such as amqp://user:password@host:5672/vhost.", valueName: "url"))
  var origin: String

  @Option(
    help: ArgumentHelp("The queue. By default \(Publishing.defaultQueue).", valueName: "name"))
  var queue: String?

  @Flag(help: "Fail if the queue does not exist, instead of creating it.")
  var passive = false

  @Option(
    help: ArgumentHelp(
      "The maximum number of unacknowledged messages. By default 1000.",
      valueName: "count"))
  var prefetch: UInt16?

  @Option(
    help: ArgumentHelp(
      "End if no message arrives for this time. By default never.", valueName: "seconds"))
  var idle: Double?

  @OptionGroup var log: LogOptions

  func validate() throws {
    if let prefetch, prefetch == 0 { throw ValidationError("--prefetch 0: expected 1 or more") }
    if let idle, !(0...1_000_000).contains(idle) {
      throw ValidationError("--idle \(idle): expected seconds from 0 to 1000000")
    }
  }

  func run() throws {
    try log.refuseTemplate()
    var settings = QueueConsumer.Settings(queue: queue ?? Publishing.defaultQueue)
    settings.isPassive = passive
    if let prefetch { settings.prefetch = prefetch }
    settings.idleMilliseconds = idle.map { Int(saturating: $0 * 1000) }
    let consumer = try QueueConsumer(origin, settings)
    try refuseNetwork()
    Interrupt.watch(SIGINT, SIGTERM)
    var bar = ProgressBar(total: nil, noun: "events")
    defer { bar.finish() }
    let counts = try consumer.run(
      into: {
        try QueueRecorder(
          path: log.path, origin: consumer.origin, recorderVersion: taskLogVersion)
      }, progress: { bar.show($0.events) },
      problem: { message in
        bar.finish()
        Console.warn(message)
      }, isStopped: { Interrupt.isRequested })
    bar.finish()
    report(counts)
  }

  private func refuseNetwork() throws {
    guard let network = LogLocation.networkFileSystem(of: log.path) else { return }
    throw Failure.run(
      "\(log.path): is on \(network), which is not known to be a local file system, and a log is "
        + "not safe there; name another file with --log")
  }

  private func report(_ counts: DeliveryCounts) {
    var text =
      "\(Printable.count(counts.messages, "message")), \(Printable.count(counts.events, "event")) "
      + "recorded"
    if counts.known > 0 { text += ", \(counts.known) already present" }
    if counts.redelivered > 0 { text += ", \(counts.redelivered) messages redelivered" }
    if counts.malformed > 0 { text += ", \(counts.malformed) malformed and stored" }
    Console.print(text)
  }
}

extension AMQPError: ExplainedError {}
