/// The base of every plugin, on a scheduler or on a worker.
///
/// A plugin is a class with an `init()`; mark it `final`, or `required init()`. It runs in the
/// isolation of the scheduler (or worker) that it was added to and needs no locks.
public protocol Plugin: AnyObject, SendableMetatype {
  /// Do not implement. The default is emitted into the plugin's own image, so that a host can check
  /// what a plugin was built against before loading it.
  static var _pluginABI: StaticString { get }

  init()

  /// Creates a plugin from `--option name=value`. By default options are refused.
  ///
  /// - Throws: `PluginError`, or any error whose description tells the user what to do.
  init(options: [String: String]) throws

  /// The name under which it is registered; a second plugin of the same name replaces the first.
  var name: String { get }

  /// If true, a second plugin of the same name is ignored instead. Dask's `idempotent`.
  var idempotent: Bool { get }

  /// The result of the plugin. By default its stored properties, so that a plain counter reports
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

/// An error in the use of a plugin.
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
