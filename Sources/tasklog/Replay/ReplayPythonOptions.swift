import ArgumentParser
import Replaying

/// What is about plugins in Python.
struct ReplayPythonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The Python that runs plugins in Python, with the tasklog package. By default that of the "
        + "active virtual environment, else python3.", valueName: "path"))
  var python: String?

  @Option(
    help: ArgumentHelp(
      "Print an attribute of a plugin in Python as JSON, and no reports; with several plugins "
        + "<plugin>:<attribute>.", valueName: "attribute"))
  var result: [String] = []

  @Flag(
    help: """
      Load the pickles in the log, so that plugins in Python get the very objects. A pickle can run \
      any code with your rights: do this only with logs that you trust. Without it plugins get \
      stand-ins with type and repr.
      """)
  var trustPickles = false

  /// The plugins with all those in Python as one, which is one program.
  ///
  /// - Throws: `Failure`.
  func joined(
    _ chosen: [ChosenPlugin], timeoutSeconds: Int, _ options: ReplayOptions
  ) throws -> [ChosenPlugin] {
    let plugins = chosen.compactMap(\.python)
    guard !plugins.isEmpty else {
      if let first = result.first {
        throw Failure.usage("--result \(first): it is for plugins in Python, and there is none")
      }
      return chosen
    }
    var request = PythonRequest(python: try Interpreter.path(python), plugins: plugins)
    request.results = try result.map { try wanted($0, of: plugins) }
    request.trustsPickles = trustPickles
    request.failsFast = options.failsFast
    request.verifies = options.verifies
    request.timeoutSeconds = timeoutSeconds
    let others = chosen.filter { $0.python == nil }
    return others + [.outside { [request] in PythonPlugins(request) }]
  }

  private func wanted(
    _ text: String, of plugins: [PythonRequest.Plugin]
  ) throws -> PythonRequest.Wanted {
    if let colon = text.lastIndex(of: ":") {
      let owner = String(text[..<colon])
      guard plugins.contains(where: { $0.name == owner }) else {
        throw Failure.usage("--result \(text): there is no --plugin \(owner) in Python")
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
