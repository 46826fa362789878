import PluginLoading
import Replaying
import TaskLogPlugin

/// What `--plugin` can name, tried in this order: what a text is not taken for by any of the first
/// kinds is for the last one, which knows how to say what is wrong with it.
enum PluginKinds {
  static let all: [any PluginKind.Type] = [
    ProgramPluginKind.self, RabbitMQPluginKind.self, PythonPluginKind.self, SwiftPluginKind.self,
  ]
}

/// One way in which `--plugin` names a plugin.
protocol PluginKind: SendableMetatype {
  /// Whether a text names one of these. Looks at nothing but the text.
  static func isMeant(by text: String) -> Bool

  /// Finds the plugin; compiles, loads and checks whatever can be before a replay begins.
  ///
  /// - Throws: what the user has to be told.
  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin
}

/// With what a plugin is to be made.
struct PluginRequest {
  /// `--option name=value`, those of this plugin.
  var options: [String: String]
  var replay: ReplayOptions
  /// The log that is replayed.
  var log: String
  /// How long one call may take; 0 for ever.
  var timeoutSeconds: Int
  /// Where it is shown that code of the plugin is being run.
  var call: ActiveCall
}

/// A plugin that was found.
enum ChosenPlugin {
  /// Runs in this process.
  case swift(PluginFactory, options: [String: String])
  /// Runs in a program of its own, which is made anew for each run that is replayed.
  case outside(() throws -> any ExternalPlugin)
  /// Runs with all others in Python in one program.
  case python(PythonRequest.Plugin)

  var python: PythonRequest.Plugin? {
    if case .python(let plugin) = self { return plugin }
    return nil
  }
}
