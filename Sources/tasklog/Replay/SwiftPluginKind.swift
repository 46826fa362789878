import BuiltinPlugins
import PluginLoading

/// Plugins in Swift: built in, a source file or a library.
enum SwiftPluginKind: PluginKind {
  private static let loader = PluginLoader(builtIn: BuiltinPlugins.all)

  static func isMeant(by text: String) -> Bool { true }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    let found = try loader.find(text)
    // What a library does while it is loaded is code of the plugin's, too; compiling it is not.
    request.call.begin(request.call.label("plugin '\(text)'"), .loading)
    defer { request.call.end() }
    return .swift(try loader.factory(for: found), options: request.options)
  }
}
