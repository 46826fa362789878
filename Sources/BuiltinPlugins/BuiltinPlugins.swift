import TaskLogPlugin

//===----------------------------------------------------------------------===//
// BuiltinPlugins: the plugins that come with tasklog.
//
// Written as a user would write them: against TaskLogPlugin alone. They run live and in a replay.
//===----------------------------------------------------------------------===//

public enum BuiltinPlugins {
  /// All plugins that can be named on the command line.
  public static let all: [PluginFactory] = [
    PluginFactory(
      name: "counter", summary: "counts the tasks that were run to memory",
      options: [.init("prefix", value: "name", summary: "counts only the tasks of this prefix")],
      type: Counter.self),
    PluginFactory(
      name: "errors", summary: "lists the tasks that failed, worker by worker",
      options: [.init("limit", value: "count", summary: "lists at most this many per worker")],
      type: ErrorLogger.self),
  ]
}
