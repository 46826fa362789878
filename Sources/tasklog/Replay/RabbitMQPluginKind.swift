import AMQP
import BrokerMessages
import EventLog
import Recording
import Replaying
import TaskLogPlugin

/// `rabbitmq`: publishes a replayed run.
enum RabbitMQPluginKind: PluginKind {
  static let name = "rabbitmq"
  static let summary = "publishes the events to a RabbitMQ queue"
  static let options: [PluginFactory.Option] = [
    .init("url", value: "url", summary: "the broker, such as amqp://user:password@host:5672/vhost"),
    .init("queue", value: "name", summary: "the queue; by default \(Publishing.defaultQueue)"),
    .init(
      "payload", value: "kind",
      summary: "events: complete events; transitions: as in Dask's documentation"),
    .init("batch", value: "count", summary: "the number of events in a message; by default 1"),
    .init("passive", value: "yes|no", summary: "yes: fail if the queue does not exist"),
  ]

  static func isNamed(by text: String) -> Bool { text == name }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    let publishing = try publishing(request.options)
    return .outside { ReplayedPublisher(publishing, log: request.log) }
  }

  private static func publishing(_ options: [String: String]) throws -> Publishing {
    for name in options.keys.sorted() where !Self.options.contains(where: { $0.name == name }) {
      throw PluginError.unknownOption(name, plugin: Self.name)
    }
    var publishing = PublishingOptions()
    for (name, text) in options.sorted(by: { $0.key < $1.key }) {
      try publishing.set(name, .string(text))
    }
    guard let publishing = try publishing.publishing() else {
      throw Failure.usage("--plugin rabbitmq: name the broker with --option url=amqp://host")
    }
    return publishing
  }
}

/// Publishes the events of a log. No spool is needed, because the events stay in the log.
final class ReplayedPublisher: ExternalPlugin {
  let name = RabbitMQPluginKind.name
  let needsAll = false
  private let publishing: Publishing
  private let log: String
  private var sender: MessageSender?
  private var run: RunInfo?
  private var sources: [SourceInfo] = []

  init(_ publishing: Publishing, log: String) {
    self.publishing = publishing
    self.log = log
  }

  func begin(_ run: RunInfo, sources: [SourceInfo]) throws {
    self.run = run
    let header = RunHeader(
      id: run.id, engine: run.engine, engineVersion: run.engineVersion,
      recorderVersion: run.recorderVersion, mode: run.mode, started: run.started,
      metadata: run.metadata)
    let sender = try MessageSender(publishing, run: header)
    self.sender = sender
    for source in sources { try join(source) }
  }

  func join(_ source: SourceInfo) throws {
    sources.append(source)
    sender?.add(source.source, number: Int(source.number))
  }

  func process(_ recorded: RecordedEvent, isSelected: Bool) throws -> Bool {
    guard isSelected else { return true }
    try sender?.send(
      recorded.event, source: Int(recorded.source), sourceSeq: recorded.sourceSeq)
    return true
  }

  func flush() throws { try sender?.flush() }

  func finish() throws -> ExternalResult {
    guard let sender, let run else { return ExternalResult() }
    let reader = try LogReader(path: log)
    for gap in try reader.gaps(of: run) {
      sender.sendGap(
        source: Int(gap.source), sourceSeq: gap.sourceSeq, count: gap.count, time: gap.time,
        reason: gap.reason)
    }
    let now = try reader.runs().first { $0.id == run.id } ?? run
    if now.end != .running {
      // The last seqs of a partial run are unknown.
      let isComplete = try !now.isPartial && reader.eventCount(of: now) == sender.eventCount
      let lasts = try sources.map { (Int($0.number), try reader.lastSourceSeq(of: $0)) }
      sender.end(
        now.end, at: now.ended ?? now.started,
        lastSourceSeqs: isComplete ? lasts.filter { $0.1 > 0 } : [])
    }
    try sender.close()
    let report = Value.object([
      "events": .int(sender.eventCount), "messages": .int(sender.messageCount),
    ])
    return ExternalResult(reports: [Replayer.Report(plugin: name, worker: nil, report: report)])
  }
}

extension PublishingError: ExplainedError {
  var isUsage: Bool { false }
}
