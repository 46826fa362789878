import ArgumentParser
import BuiltinPlugins
import Querying

struct PluginsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins",
    abstract: "List the plugins that come with tasklog.",
    discussion: """
      Each can be named in 'tasklog replay --plugin'. A plugin of your own is a file: see \
      'tasklog help replay'.
      """)

  func run() {
    let width = BuiltinPlugins.all.map(\.name.count).max() ?? 0
    for plugin in BuiltinPlugins.all {
      let space = String(repeating: " ", count: width - plugin.name.count + 2)
      Console.print(plugin.name + space + plugin.summary)
    }
  }
}
