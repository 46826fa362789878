import CImages
import Glibc
import TaskLogPlugin

/// Finds plugins by their names on the command line.
public struct PluginLoader: Sendable {
  /// The built-in plugins, found by name.
  package let builtIn: [PluginFactory]
  private let compiler: PluginCompiler
  /// Whether the Swift runtime is linked into this program, which then cannot load plugins.
  private let hasStaticRuntime: Bool

  /// - Parameter cache: the folder of compiled files; by default next to the user's other caches.
  public init(builtIn: [PluginFactory], cache: String? = nil) {
    self.init(builtIn: builtIn, cache: cache, hasStaticRuntime: tl_runtime_is_linked_in())
  }

  package init(builtIn: [PluginFactory], cache: String? = nil, hasStaticRuntime: Bool) {
    self.builtIn = builtIn
    self.hasStaticRuntime = hasStaticRuntime
    compiler = PluginCompiler(cache: cache)
  }

  /// Whether a text names a file, with code that is not part of this program.
  package static func namesFile(_ text: String) -> Bool { file(in: text) != nil }

  /// Finds the plugin for a name, `file.swift`, `lib.so`, or one of the two with `:Type`. A Swift
  /// file is compiled, but none of its code is run yet.
  ///
  /// - Parameter option: the option that contains the text, for errors.
  /// - Throws: `LoadingError`.
  package func find(_ text: String, option: String = "--plugin") throws(LoadingError)
    -> ResolvedPlugin
  {
    if let factory = builtIn.first(where: { $0.name == text }) { return .builtIn(factory) }
    guard let (path, type) = Self.file(in: text) else {
      throw .unknown(option: option, name: text, known: builtIn.map(\.name))
    }
    let isSource = path.hasSuffix(".swift")
    guard access(path, F_OK) == 0 else { throw .missing(path: path) }
    guard !hasStaticRuntime else { throw .staticRuntime(path: path) }
    let library = isSource ? try compiler.library(for: path) : path
    return .file(path: path, library: library, type: type)
  }

  /// The factory of the plugin that a text names.
  ///
  /// - Throws: `LoadingError`.
  public func factory(for text: String) throws(LoadingError) -> PluginFactory {
    try factory(for: find(text))
  }

  /// The factory of a plugin that was found. Its file is loaded, which runs code of it.
  ///
  /// - Throws: `LoadingError`.
  package func factory(for found: ResolvedPlugin) throws(LoadingError) -> PluginFactory {
    switch found {
    case .builtIn(let factory): return factory
    case .file(let path, let library, let type):
      let image = try PluginImage(path: library, displayName: path)
      let types = try image.plugins { type in
        type is any SchedulerPlugin.Type || type is any WorkerPlugin.Type
      }
      guard !types.isEmpty else { throw .noPlugin(path: path) }
      return Self.factory(try Self.choose(types, type, path), path, image)
    }
  }

  /// The factory of what a text names for preloading: as for plugins, or a file with a `Preload`.
  /// If a file has one, it decides what happens with the plugins in the same file.
  ///
  /// - Throws: `LoadingError`.
  package func preload(for text: String) throws(LoadingError) -> PluginFactory {
    switch try find(text, option: "--preload") {
    case .builtIn(let factory): return factory
    case .file(let path, let library, let type):
      let image = try PluginImage(path: library, displayName: path)
      let types = try image.plugins { _ in true }
      guard !types.isEmpty else { throw .noPreload(path: path) }
      let preloads = types.filter { $0 is any Preload.Type }
      let candidates = type == nil && !preloads.isEmpty ? preloads : types
      return Self.factory(try Self.choose(candidates, type, path), path, image)
    }
  }

  private static func factory(
    _ type: any Plugin.Type, _ path: String, _ image: PluginImage
  ) -> PluginFactory {
    PluginFactory(
      name: String(describing: type), summary: "from \(path)", type: type,
      content: image.contentHash)
  }

  /// A path and the type after it; `nil` if the text names no file.
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
      guard let index = names.firstIndex(of: name) else {
        throw .noSuchType(path: path, type: name, types: names)
      }
      return types[index]
    }
    guard types.count == 1 else { throw .several(path: path, types: names) }
    return types[0]
  }
}

/// What a text names, before any of its code is run.
package enum ResolvedPlugin: Sendable {
  case builtIn(PluginFactory)
  /// A library, and the file that was given; they differ for source.
  case file(path: String, library: String, type: String?)
}
