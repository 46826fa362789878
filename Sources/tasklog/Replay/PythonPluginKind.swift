import Glibc
import PluginLoading
import Replaying

/// Python plugins: `module:Class`, `file.py:Class`, `file.py`.
enum PythonPluginKind: PluginKind {
  static func isNamed(by text: String) -> Bool {
    if text.hasSuffix(".py") || text.contains(".py:") { return true }
    guard let colon = text.lastIndex(of: ":") else { return false }
    let module = text[..<colon].split(separator: ".", omittingEmptySubsequences: false)
    let names = text[text.index(after: colon)...].split(
      separator: ".", omittingEmptySubsequences: false)
    // `file.swift:Type` and `lib.so:Type` are Swift's.
    if let last = module.last, module.count > 1, ["swift", "so", "dylib"].contains(last) {
      return false
    }
    return (module + names).allSatisfy(isIdentifier)
  }

  static func plugin(_ text: String, _ request: PluginRequest) throws -> ChosenPlugin {
    .python(.init(name: text, options: request.options))
  }

  private static func isIdentifier(_ word: Substring) -> Bool {
    guard let first = word.first, first.isLetter || first == "_" else { return false }
    return word.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
  }
}

/// Finds the Python interpreter.
enum Interpreter {
  /// - Parameter named: the user's choice; by default the interpreter of the active virtual
  ///   environment, or of the one that this command was installed in, else `python3`.
  /// - Throws: `Failure`.
  static func path(_ named: String?) throws -> String {
    if let named {
      guard let path = find(named) else {
        throw Failure.usage("--python \(named): no such program")
      }
      return path
    }
    if let folder = getenv("VIRTUAL_ENV").map({ String(cString: $0) }), !folder.isEmpty {
      let path = folder + "/bin/python"
      if access(path, X_OK) == 0 { return path }
    }
    let folder = Files.programFolder
    if access(folder + "/../pyvenv.cfg", F_OK) == 0, let path = find(folder + "/python") {
      return path
    }
    guard let path = find("python3") else {
      throw Failure.run(
        "no python3 on PATH, which Python plugins need: install it, activate a "
          + "virtual environment, or name one with --python")
    }
    return path
  }

  private static func find(_ name: String) -> String? {
    if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
    let folders = getenv("PATH").map { String(cString: $0) } ?? ""
    return folders.split(separator: ":").lazy.map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }
}
