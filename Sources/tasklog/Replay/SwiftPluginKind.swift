import BuiltinPlugins
import PluginLoading

/// Swift plugins: built in, a source file or a library.
enum SwiftPluginKind: PluginKind {
  private static let loader = PluginLoader(builtIn: BuiltinPlugins.all)

  static func isNamed(by text: String) -> Bool { true }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    let match = try loader.find(text)
    // Loading a library runs code of the plugin; compiling it does not.
    request.call.begin(request.call.label("plugin '\(text)'"), .loading)
    defer { request.call.end() }
    return .swift(try loader.factory(for: match), options: request.options)
  }
}
