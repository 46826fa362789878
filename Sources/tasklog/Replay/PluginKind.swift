import PluginLoading
import Replaying
import TaskLogPlugin

/// The kinds of plugins that `--plugin` can name, in the order of matching. The last kind matches
/// any other text, and throws an error that explains what is wrong with it.
enum PluginKinds {
  static let all: [any PluginKind.Type] = [
    ProgramPluginKind.self, RabbitMQPluginKind.self, PythonPluginKind.self, SwiftPluginKind.self,
  ]
}

/// One kind of plugin that `--plugin` can name.
protocol PluginKind: SendableMetatype {
  /// Whether a text names a plugin of this kind, judged by the text alone.
  static func isNamed(by text: String) -> Bool

  /// Finds the plugin; compiles, loads and checks as much as possible before a replay begins.
  ///
  /// - Throws: an error that the user sees.
  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin
}

/// The parameters to create a plugin.
struct PluginRequest {
  /// The values of `--option name=value` for this plugin.
  var options: [String: String]
  var replay: ReplayOptions
  /// The path of the replayed log.
  var log: String
  /// The time limit of one call; 0 for none.
  var timeoutSeconds: Int
  /// Shows the supervising process which call of a plugin is running.
  var call: ActiveCall
}

/// A resolved plugin.
enum ChosenPlugin {
  /// Runs in this process.
  case swift(PluginFactory, options: [String: String])
  /// Runs in its own program, which is started anew for each replayed run.
  case outside(() throws -> any ExternalPlugin)
  /// Runs in one program with all other Python plugins.
  case python(PythonRequest.Plugin)

  var python: PythonRequest.Plugin? {
    if case .python(let plugin) = self { return plugin }
    return nil
  }
}
