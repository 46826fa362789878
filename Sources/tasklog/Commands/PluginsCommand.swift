import ArgumentParser
import BuiltinPlugins
import TaskLogPlugin

struct PluginsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins",
    abstract: "List the plugins that come with tasklog.",
    discussion: """
      Each can be named in 'tasklog replay --plugin', with the options below it. A plugin of your own \
      is a file, or any program: see 'tasklog help replay'.
      """)

  func run() {
    let options = BuiltinPlugins.all.flatMap { $0.options.map(Self.title) }
    let titles = BuiltinPlugins.all.map(\.name) + options
    let width = (titles.map(\.count).max() ?? 0) + 2
    func line(_ title: String, _ summary: String) {
      Console.print(title + String(repeating: " ", count: width - title.count) + summary)
    }
    for plugin in BuiltinPlugins.all {
      line(plugin.name, plugin.summary)
      for option in plugin.options { line(Self.title(option), option.summary) }
    }
  }

  private static func title(_ option: PluginFactory.Option) -> String {
    "  --option \(option.name)=<\(option.value)>"
  }
}
