/// What every plugin is, on a scheduler or on a worker.
///
/// A plugin is a class with an `init()`; mark it `final`, or `required init()`. It lives in the
/// isolation of the scheduler (or worker) that it was added to and needs no locks.
public protocol Plugin: AnyObject, SendableMetatype {
  /// Do not implement. The default is emitted into the plugin's own image, so that a host can tell
  /// what a plugin was built against before it loads it.
  static var _pluginABI: StaticString { get }

  init()

  /// A plugin made from `--option name=value`. By default options are refused.
  ///
  /// - Throws: `PluginError`, or anything whose description tells the user what to do.
  init(options: [String: String]) throws

  /// The name by which it is registered; a second plugin of the same name replaces the first.
  var name: String { get }

  /// When true, a second plugin of the same name is ignored instead. Dask's `idempotent`.
  var idempotent: Bool { get }

  /// What the plugin has to say. By default its stored properties, so that a plain counter says
  /// `counter: 12`.
  func report() -> Value
}

extension Plugin {
  #if compiler(>=6.4)
    #error("a new compiler: add its plugin ABI tag here")
  #elseif compiler(>=6.3)
    @_alwaysEmitIntoClient
    public static var _pluginABI: StaticString { "TASKLOG_PLUGIN_ABI=1;swift=6.3" }
  #else
    @_alwaysEmitIntoClient
    public static var _pluginABI: StaticString { "TASKLOG_PLUGIN_ABI=1;swift=6.2" }
  #endif

  public init(options: [String: String]) throws {
    if let option = options.keys.min() {
      throw PluginError.unknownOption(option, plugin: String(describing: Self.self))
    }
    self.init()
  }

  public var name: String { String(describing: Self.self) }
  public var idempotent: Bool { false }
  public func report() -> Value { Report.storedProperties(of: self) }
}

/// What can be wrong with the use of a plugin.
public enum PluginError: Error, Sendable, CustomStringConvertible {
  case unknownOption(String, plugin: String)
  case badOption(String, value: String, expected: String)

  public var description: String {
    switch self {
    case .unknownOption(let option, let plugin): "plugin \(plugin) has no option '\(option)'"
    case .badOption(let option, let value, let expected):
      "option \(option)=\(value): expected \(expected)"
    }
  }
}
