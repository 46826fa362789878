/// The origin of events: the scheduler, one worker, or a command that added to a run what only
/// others know.
public struct Source: Sendable, Hashable {
  public enum Kind: String, Sendable {
    case scheduler, worker, command
  }

  public var kind: Kind
  /// The engine's server id, never an address.
  public var id: String
  public var address: String
  /// A worker's name.
  public var name: Value

  package init(kind: Kind, id: String, address: String, name: Value = .null) {
    self.kind = kind
    self.id = id
    self.address = address
    self.name = name
  }
}

/// A plugin that receives complete events, including marks and snapshots, of the scheduler and of
/// all its workers. It lets a recorder be registered in one line without being imported by the
/// engine.
public protocol RecordingPlugin: Sendable {
  /// The channel for the events of one source. Called once for each source, before its first event.
  func channel(for source: Source) -> any EventChannel
  /// Plugins that the recorder wants to be called on the scheduler, before any others, to record
  /// their reports; see `RecorderInternal`.
  func schedulerPlugins(recording channel: any EventChannel) -> [any SchedulerPlugin]
  /// The same for a worker.
  func workerPlugins(recording channel: any EventChannel) -> [any WorkerPlugin]
  /// Writes the remaining events, after the last event of every source.
  func finish() async
}

extension RecordingPlugin {
  public func schedulerPlugins(recording channel: any EventChannel) -> [any SchedulerPlugin] { [] }
  public func workerPlugins(recording channel: any EventChannel) -> [any WorkerPlugin] { [] }
}

/// A plugin that belongs to a recorder: it is not listed among the reports of a run.
package protocol RecorderInternal: Plugin {}

/// Receives the events of one source in order, from one thread at a time.
public protocol EventChannel: AnyObject, Sendable {
  /// Called in the hot path of the scheduler or worker: must not block and cannot fail.
  func record(_ event: Event)
}
