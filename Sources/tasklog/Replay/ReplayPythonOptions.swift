import ArgumentParser
import LogFormat
import Replaying

/// The options of Python plugins.
struct ReplayPythonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The interpreter for Python plugins, with the tasklog package. By default that of the "
        + "active virtual environment, or of the one that tasklog is in, else python3.",
      valueName: "path"))
  var python: String?

  @Option(
    help: ArgumentHelp(
      "Print an attribute of a Python plugin as JSON instead of reports; with several plugins "
        + "<plugin>:<attribute>.", valueName: "attribute"))
  var result: [String] = []

  @Flag(
    help: """
      Load the pickles in the log, so that Python plugins get the original objects. A pickle can \
      run any code with your rights: use this only with logs that you trust. Without it, plugins \
      get stand-ins with type and repr.
      """)
  var trustPickles = false

  @Option(
    help: ArgumentHelp(
      "The most memory that Python plugins and the state rebuilt for them may take, such as 8GiB; "
        + "0 for no limit.", valueName: "size"))
  var memoryLimit = "4GiB"

  /// Combines all Python plugins into one plugin, which is one program.
  ///
  /// - Throws: `Failure`.
  func joined(
    _ chosen: [ChosenPlugin], timeoutSeconds: Int, _ options: ReplayOptions
  ) throws -> [ChosenPlugin] {
    let plugins = chosen.compactMap(\.python)
    guard !plugins.isEmpty else {
      if let first = result.first {
        throw Failure.usage("--result \(first): requires a Python plugin")
      }
      return chosen
    }
    var request = PythonRequest(python: try Interpreter.path(python), plugins: plugins)
    request.results = try result.map { try resultRequest($0, of: plugins) }
    request.trustsPickles = trustPickles
    request.failsFast = options.failsFast
    request.verifies = options.verifies
    request.timeoutSeconds = timeoutSeconds
    guard let limit = memoryLimit == "0" ? 0 : Quantity.bytes(memoryLimit) else {
      throw Failure.usage(
        "--memory-limit \(memoryLimit.isEmpty ? "''" : memoryLimit): expected a size such as 8GiB, "
          + "or 0 for no limit")
    }
    request.memoryLimit = Int64(limit)
    let others = chosen.filter { $0.python == nil }
    return others + [.outside { [request] in PythonPlugins(request) }]
  }

  private func resultRequest(
    _ text: String, of plugins: [PythonRequest.Plugin]
  ) throws -> PythonRequest.ResultPath {
    if let colon = text.lastIndex(of: ":") {
      let owner = String(text[..<colon])
      guard plugins.contains(where: { $0.name == owner }) else {
        throw Failure.usage("--result \(text): no --plugin names a Python plugin '\(owner)'")
      }
      return .init(plugin: owner, path: String(text[text.index(after: colon)...]))
    }
    guard plugins.count == 1 else {
      throw Failure.usage(
        "--result \(text): there are several plugins; write \(plugins[0].name):\(text)")
    }
    return .init(plugin: plugins[0].name, path: text)
  }
}
