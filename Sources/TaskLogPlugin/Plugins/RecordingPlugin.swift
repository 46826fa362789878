/// Who an event comes from: the scheduler or one worker.
public struct Source: Sendable, Hashable {
  public enum Kind: String, Sendable {
    case scheduler, worker
  }

  public var kind: Kind
  /// The engine's server id, never an address.
  public var id: String
  public var address: String
  /// A worker's name.
  public var name: Value

  public init(kind: Kind, id: String, address: String, name: Value = .null) {
    self.kind = kind
    self.id = id
    self.address = address
    self.name = name
  }
}

/// A plugin that takes in whole events, marks and snapshots included, of the scheduler and of all
/// its workers. With it a recorder is registered in one line, and the engine needs not import it.
public protocol RecordingPlugin: Sendable {
  /// Where the events of one source go. Called once for each source, before its first event.
  func channel(for source: Source) -> any EventChannel
  /// Plugins that the recorder wants to be called on the scheduler, before any others, to note what
  /// they report; see `RecorderInternal`.
  func schedulerPlugins(noting channel: any EventChannel) -> [any SchedulerPlugin]
  /// The same for a worker.
  func workerPlugins(noting channel: any EventChannel) -> [any WorkerPlugin]
  /// No source will send anything any more: writes out what is left.
  func finish() async
}

extension RecordingPlugin {
  public func schedulerPlugins(noting channel: any EventChannel) -> [any SchedulerPlugin] { [] }
  public func workerPlugins(noting channel: any EventChannel) -> [any WorkerPlugin] { [] }
}

/// A plugin that belongs to a recorder: it is not listed among the reports of a run.
public protocol RecorderInternal: Plugin {}

/// Takes in the events of one source, one after the other, from one thread at a time.
public protocol EventChannel: AnyObject, Sendable {
  /// Called in the hot path of the scheduler or worker: must not block and cannot fail.
  func record(_ event: Event)
}
