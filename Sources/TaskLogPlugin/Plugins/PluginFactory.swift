/// A kind of plugin that can be made by name: built in, or found in a loaded file.
public struct PluginFactory: Sendable {
  /// What it is called on the command line.
  public var name: String
  /// One line on what it does.
  public var summary: String
  /// A class that is a `SchedulerPlugin` or a `WorkerPlugin`.
  public var type: any Plugin.Type

  public init(name: String, summary: String, type: any Plugin.Type) {
    self.name = name
    self.summary = summary
    self.type = type
  }
}
