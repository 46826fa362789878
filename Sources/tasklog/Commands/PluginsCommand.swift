import ArgumentParser
import BuiltinPlugins
import TaskLogPlugin

struct PluginsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins",
    abstract: "List the built-in plugins.",
    discussion: """
      Use a name with 'tasklog replay --plugin', and the options below it with --option. Your own \
      plugin can be a file or any program: see 'tasklog help replay'.
      """)

  func run() {
    let plugins =
      BuiltinPlugins.all.map { ($0.name, $0.summary, $0.options) } + [
        (RabbitMQPluginKind.name, RabbitMQPluginKind.summary, RabbitMQPluginKind.options)
      ]
    let titles = plugins.flatMap { name, _, options in [name] + options.map(Self.title) }
    let width = (titles.map(\.count).max() ?? 0) + 2
    func line(_ title: String, _ summary: String) {
      Console.print(title + String(repeating: " ", count: width - title.count) + summary)
    }
    for (name, summary, options) in plugins {
      line(name, summary)
      for option in options { line(Self.title(option), option.summary) }
    }
  }

  private static func title(_ option: PluginFactory.Option) -> String {
    "  --option \(option.name)=<\(option.value)>"
  }
}
