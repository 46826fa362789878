/// A kind of plugin that can be created by name: built in, or found in a loaded file.
public struct PluginFactory: Sendable {
  /// An option that can be set with `--option name=value`.
  public struct Option: Sendable {
    public var name: String
    /// A word or two for the value.
    public var value: String
    /// What the option does, in one line.
    public var summary: String

    public init(_ name: String, value: String, summary: String) {
      self.name = name
      self.value = value
      self.summary = summary
    }
  }

  /// The name on the command line.
  public var name: String
  /// What the plugin does, in one line.
  public var summary: String
  public var options: [Option]
  /// A class that is a `SchedulerPlugin` or a `WorkerPlugin`.
  public var type: any Plugin.Type
  /// Identifies the code; empty for code that is part of the program.
  public var content: String

  public init(
    name: String, summary: String, options: [Option] = [], type: any Plugin.Type,
    content: String = ""
  ) {
    self.name = name
    self.summary = summary
    self.options = options
    self.type = type
    self.content = content
  }

  /// A class of the program itself, under its Swift name.
  public init(_ type: any Plugin.Type) {
    self.init(name: String(describing: type), summary: "", type: type)
  }
}
