import Glibc
import TaskLogPlugin

/// Finds plugins by what the command line calls them.
public struct PluginLoader: Sendable {
  /// The plugins that have a name.
  public let builtIn: [PluginFactory]
  private let compiler: PluginCompiler

  /// - Parameter cache: where compiled files are kept; by default beside the user's other caches.
  public init(builtIn: [PluginFactory], cache: String? = nil) {
    self.builtIn = builtIn
    compiler = PluginCompiler(cache: cache)
  }

  /// The plugin that a user means: a name, `file.swift`, `lib.so`, or one of the two with `:Type`.
  ///
  /// - Throws: `LoadingError`.
  public func factory(for text: String) throws(LoadingError) -> PluginFactory {
    if let factory = builtIn.first(where: { $0.name == text }) { return factory }
    guard let (path, type) = Self.file(in: text) else {
      throw .unknown(name: text, known: builtIn.map(\.name))
    }
    let isSource = path.hasSuffix(".swift")
    guard access(path, F_OK) == 0 else { throw .missing(path: path) }
    let library = isSource ? try compiler.library(for: path) : path
    let found = try PluginImage(path: library, saidAs: path).plugins()
    let chosen = try Self.choose(found, type, path)
    return PluginFactory(
      name: String(describing: chosen), summary: "from \(path)", type: chosen)
  }

  /// A path and the type behind it; nothing when the text names no file.
  private static func file(in text: String) -> (path: String, type: String?)? {
    for ending in [".swift", ".so"] {
      if text.hasSuffix(ending) { return (text, nil) }
      if let range = text.ranges(of: ending + ":").last {
        return (String(text[..<range.upperBound].dropLast()), String(text[range.upperBound...]))
      }
    }
    return nil
  }

  private static func choose(
    _ types: [any Plugin.Type], _ name: String?, _ path: String
  ) throws(LoadingError) -> any Plugin.Type {
    let names = types.map { String(describing: $0) }
    if let name {
      guard let place = names.firstIndex(of: name) else {
        throw .noSuchType(path: path, type: name, types: names)
      }
      return types[place]
    }
    guard types.count == 1 else { throw .several(path: path, types: names) }
    return types[0]
  }
}
