import CImages
import Glibc
import TaskLogPlugin

/// A library with plugins in it, checked and loaded. It is never unloaded: Swift's images cannot be.
struct PluginImage {
  private let handle: UnsafeMutableRawPointer
  private let path: String
  private let content: [UInt8]

  /// - Parameters:
  ///   - path: the library.
  ///   - name: the file that the user has named.
  /// - Throws: `LoadingError`.
  init(path: String, saidAs name: String) throws(LoadingError) {
    self.path = name
    content = try Files.read(path, saidAs: name)
    // Source has been compiled against this very API.
    if !name.hasSuffix(".swift") { try Self.checkAPI(content, name) }
    // Without a slash the system would search its own folders.
    let place = path.contains("/") ? path : "./" + path
    guard let handle = dlopen(place, RTLD_NOW | RTLD_LOCAL) else {
      throw .cannotLoad(path: name, reason: dlerror().map { String(cString: $0) } ?? "no reason")
    }
    self.handle = handle
    if let own = dlsym(handle, "$s13TaskLogPlugin09SchedulerC0Mp"), tl_is_in_image(handle, own) {
      throw .ownCopy(path: name)
    }
  }

  /// The mark that the compiler leaves in every image with a plugin, see `Plugin._pluginABI`: read
  /// from the file, because loading what was built against another API would crash.
  private static func checkAPI(_ content: [UInt8], _ name: String) throws(LoadingError) {
    let known = "\(Mark._pluginABI)"
    guard let equals = known.firstIndex(of: "=") else { return }
    let start = Array(known[...equals].utf8)
    let found = Self.text(from: start, in: content)
    guard let found else { throw .noAPI(path: name) }
    guard found == known else { throw .otherAPI(path: name, found: found, known: known) }
  }

  /// The text that begins with some bytes, up to its NUL.
  private static func text(from start: [UInt8], in content: [UInt8]) -> String? {
    content.withUnsafeBufferPointer { bytes in
      guard let base = bytes.baseAddress, bytes.count >= start.count else { return nil }
      for place in 0...(bytes.count - start.count)
      where bytes[place] == start[0] && memcmp(base + place, start, start.count) == 0 {
        return String(decoding: bytes[place...].prefix(100).prefix { $0 != 0 }, as: UTF8.self)
      }
      return nil
    }
  }

  private final class Mark: Plugin {}

  /// Differs where the code does.
  var contentHash: String {
    var hash = ContentHash()
    hash.add(content)
    return hash.text
  }

  /// The classes in it that are plugins or are preloaded, in the order in which the file has them.
  ///
  /// - Parameter isWanted: which of them are given.
  /// - Throws: `LoadingError` when a method of one that is wanted only looks like a hook.
  func plugins(
    _ isWanted: (any Plugin.Type) -> Bool
  ) throws(LoadingError) -> [any Plugin.Type] {
    final class Found {
      var types: [any Plugin.Type] = []
    }
    let found = Found()
    _ = tl_conforming_classes(
      handle,
      { metadata, context in
        guard let context else { return }
        let found = Unmanaged<Found>.fromOpaque(context).takeUnretainedValue()
        // What the C side gives is the metadata of a class.
        let type = unsafeBitCast(metadata, to: Any.Type.self)
        guard let plugin = type as? any Plugin.Type,
          type is any SchedulerPlugin.Type || type is any WorkerPlugin.Type
            || type is any Preload.Type,
          !found.types.contains(where: { $0 == plugin })
        else { return }
        found.types.append(plugin)
      }, Unmanaged.passUnretained(found).toOpaque())
    let wanted = found.types.filter(isWanted)
    guard !wanted.isEmpty else { return [] }
    let methods = HookMethods(of: content)
    for type in wanted {
      guard let (method, hook) = methods.misnamed(in: type) else { continue }
      throw .noHook(path: path, type: String(describing: type), method: method, hook: hook)
    }
    return wanted
  }
}
