import CImages
import Glibc
import TaskLogPlugin

/// A library with plugins, checked and loaded. Never unloaded, since Swift images do not support
/// it.
struct PluginImage {
  private let handle: UnsafeMutableRawPointer
  private let path: String
  private let content: [UInt8]

  /// - Parameters:
  ///   - path: the library.
  ///   - name: the file given by the user.
  /// - Throws: `LoadingError`.
  init(path: String, displayName name: String) throws(LoadingError) {
    self.path = name
    content = try Files.read(path, displayName: name)
    // A source file has been compiled against this API.
    if !name.hasSuffix(".swift") { try Self.checkAPI(content, name) }
    // Without a slash the system would search its own folders.
    let location = path.contains("/") ? path : "./" + path
    guard let handle = dlopen(location, RTLD_NOW | RTLD_LOCAL) else {
      throw .cannotLoad(path: name, reason: dlerror().map { String(cString: $0) } ?? "no reason")
    }
    self.handle = handle
    if let copy = dlsym(handle, "$s13TaskLogPlugin09SchedulerC0Mp"), tl_is_in_image(handle, copy) {
      throw .ownCopy(path: name)
    }
  }

  /// Checks the mark that the compiler puts in every image with a plugin, see `Plugin._pluginABI`.
  /// It is read from the file, because loading a library built against another API would crash.
  private static func checkAPI(_ content: [UInt8], _ name: String) throws(LoadingError) {
    let expected = "\(Mark._pluginABI)"
    guard let equals = expected.firstIndex(of: "=") else { return }
    let start = Array(expected[...equals].utf8)
    let found = Self.text(from: start, in: content)
    guard let found else { throw .noAPI(path: name) }
    guard found == expected else { throw .otherAPI(path: name, found: found, known: expected) }
  }

  /// The text that begins with some bytes, up to its NUL.
  private static func text(from start: [UInt8], in content: [UInt8]) -> String? {
    content.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress, bytes.count >= start.count else { return nil }
      for offset in 0...(bytes.count - start.count)
      where bytes[offset] == start[0] && memcmp(base + offset, start, start.count) == 0 {
        return String(decoding: bytes[offset...].prefix(100).prefix { $0 != 0 }, as: UTF8.self)
      }
      return nil
    }
  }

  private final class Mark: Plugin {}

  /// A text that differs if the code does.
  var contentHash: String {
    var hash = ContentHash()
    hash.add(content)
    return hash.text
  }

  /// The classes in the image that are plugins or preloads, in the order of the file.
  ///
  /// - Parameter isWanted: selects which of them are returned.
  /// - Throws: `LoadingError` if a method of a selected class only looks like a hook.
  func plugins(
    _ isWanted: (any Plugin.Type) -> Bool
  ) throws(LoadingError) -> [any Plugin.Type] {
    final class Matches {
      var types: [any Plugin.Type] = []
    }
    let matches = Matches()
    _ = tl_conforming_classes(
      handle,
      { metadata, context in
        guard let context else { return }
        let matches = Unmanaged<Matches>.fromOpaque(context).takeUnretainedValue()
        // The C function passes the metadata of a class.
        let type = unsafeBitCast(metadata, to: Any.Type.self)
        guard let plugin = type as? any Plugin.Type,
          type is any SchedulerPlugin.Type || type is any WorkerPlugin.Type
            || type is any Preload.Type,
          !matches.types.contains(where: { $0 == plugin })
        else { return }
        matches.types.append(plugin)
      }, Unmanaged.passUnretained(matches).toOpaque())
    let selected = matches.types.filter(isWanted)
    guard !selected.isEmpty else { return [] }
    let methods = HookMethods(of: content)
    for type in selected {
      guard let (method, hook) = methods.misnamed(in: type) else { continue }
      throw .noHook(path: path, type: String(describing: type), method: method, hook: hook)
    }
    return selected
  }
}
