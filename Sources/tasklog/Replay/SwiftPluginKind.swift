import BuiltinPlugins
import PluginLoading

/// Plugins in Swift: built in, a source file or a library.
enum SwiftPluginKind: PluginKind {
  private static let loader = PluginLoader(builtIn: BuiltinPlugins.all)

  static func isMeant(by text: String) -> Bool { true }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    .swift(try loader.factory(for: text), options: request.options)
  }
}
