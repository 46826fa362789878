import ArgumentParser
import BuiltinPlugins
import PluginLoading
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

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How long one call of a plugin from a file, or of a program, may take; 0 for ever. "
        + "By default 60.", valueName: "seconds"))
  var timeout: Int?

  var timeoutSeconds: Int { timeout ?? 60 }

  /// Whether code is to be run that is not part of this program.
  var nameFiles: Bool { plugin.contains(where: PluginLoader.namesFile) }

  func validate() throws {
    if let timeout, !(0...1_000_000).contains(timeout) {
      throw ValidationError("--timeout \(timeout): must be from 0 to 1000000")
    }
  }

  /// The plugins in the order of naming.
  ///
  /// - Throws: `Failure`, or what is wrong with a plugin.
  func chosen(
    log: String, _ replay: ReplayOptions, _ call: ActiveCall
  ) throws -> [ChosenPlugin] {
    // As live, there is one plugin of a name.
    var names: [String] = []
    for name in plugin where !names.contains(name) { names.append(name) }
    let options = try NamedValues(
      option, option: "--option", owners: names, ownerOption: "--plugin")
    return try names.map { name in
      let request = PluginRequest(
        options: options[name], replay: replay, log: log, timeoutSeconds: timeoutSeconds, call: call
      )
      guard let kind = PluginKinds.all.first(where: { $0.isMeant(by: name) }) else {
        throw Failure.usage("--plugin \(name): there is no such plugin")
      }
      return try kind.plugin(name, request)
    }
  }
}
