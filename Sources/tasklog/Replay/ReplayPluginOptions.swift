import ArgumentParser
import BuiltinPlugins
import PluginLoading
import Replaying

/// The options that select and configure plugins.
struct ReplayPluginOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A plugin, or a file with one; repeat to use several.", valueName: "name"))
  var plugin: [String] = []

  @Option(
    help: ArgumentHelp(
      "An option of the plugin; with several plugins <plugin>:<name>=<value>.",
      valueName: "name=value"))
  var option: [String] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The time limit of one call of a plugin from a file, or of a program; 0 for none. "
        + "By default 60.", valueName: "seconds"))
  var timeout: Int?

  var timeoutSeconds: Int { timeout ?? 60 }

  /// Whether a plugin is code that is not part of this program.
  var usesExternalCode: Bool { plugin.contains(where: PluginLoader.namesFile) }

  func validate() throws {
    if let timeout, !(0...1_000_000).contains(timeout) {
      throw ValidationError("--timeout \(timeout): expected seconds from 0 to 1000000")
    }
  }

  /// The plugins in the order of the options.
  ///
  /// - Throws: `Failure`, or the error of a plugin.
  func chosen(
    log: String, _ replay: ReplayOptions, _ call: ActiveCall
  ) throws -> [ChosenPlugin] {
    // As in a live run, each name has one plugin.
    var names: [String] = []
    for name in plugin where !names.contains(name) { names.append(name) }
    let options = try NamedValues(
      option, option: "--option", owners: names, ownerOption: "--plugin")
    return try names.map { name in
      let request = PluginRequest(
        options: options[name], replay: replay, log: log, timeoutSeconds: timeoutSeconds, call: call
      )
      guard let kind = PluginKinds.all.first(where: { $0.isNamed(by: name) }) else {
        throw Failure.usage("--plugin \(name): unknown plugin")
      }
      return try kind.plugin(name, request)
    }
  }
}
