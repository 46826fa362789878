import ArgumentParser
import BuiltinPlugins
import Replaying

/// Which plugins, and what they are made with.
struct ReplayPluginOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A plugin, or a file with one; can be given several times.", valueName: "name"))
  var plugin: [String] = []

  @Option(
    help: ArgumentHelp(
      "What the plugin is made with; with several plugins <plugin>:<name>=<value>.",
      valueName: "name=value"))
  var option: [String] = []

  /// The plugins in the order of naming.
  ///
  /// - Throws: `Failure`, or what is wrong with a plugin.
  func chosen(log: String, _ replay: ReplayOptions) throws -> [ChosenPlugin] {
    // As live, there is one plugin of a name.
    var names: [String] = []
    for name in plugin where !names.contains(name) { names.append(name) }
    let options = try optionsByPlugin(names)
    return try names.map { name in
      let request = PluginRequest(options: options[name] ?? [:], replay: replay, log: log)
      guard let kind = PluginKinds.all.first(where: { $0.isMeant(by: name) }) else {
        throw Failure.usage("--plugin \(name): there is no such plugin")
      }
      return try kind.plugin(name, request)
    }
  }

  private func optionsByPlugin(_ names: [String]) throws -> [String: [String: String]] {
    var options: [String: [String: String]] = [:]
    for text in option {
      guard let equals = text.firstIndex(of: "=") else {
        throw Failure.usage("--option \(text): expected name=value")
      }
      var name = String(text[..<equals])
      var owner = names[0]
      if let colon = name.lastIndex(of: ":") {
        owner = String(name[..<colon])
        guard names.contains(owner) else {
          throw Failure.usage("--option \(text): there is no --plugin \(owner)")
        }
        name = String(name[name.index(after: colon)...])
      } else if names.count > 1 {
        throw Failure.usage(
          "--option \(text): there are several plugins; write \(names[0]):\(text)")
      }
      options[owner, default: [:]][name] = String(text[text.index(after: equals)...])
    }
    return options
  }
}
