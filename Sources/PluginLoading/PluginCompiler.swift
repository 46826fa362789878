import Glibc
import LogFormat
import TaskLogPlugin

/// Compiles one Swift file to a library, once per content.
struct PluginCompiler: Sendable {
  private let cache: String?

  init(cache: String?) {
    self.cache = cache
  }

  /// - Throws: `LoadingError`.
  func library(for path: String) throws(LoadingError) -> String {
    let source = try Files.read(path, displayName: path)
    let modules = try Self.modules(path)
    guard let compiler = Self.find("swiftc") else { throw .noCompiler(path: path) }
    var hash = ContentHash()
    hash.add(source)
    hash.add(try Files.read(modules + "/TaskLogPlugin.swiftmodule", displayName: path))
    hash.add(Array(Files.identity(compiler).utf8))
    let key = hash.text
    let folder: String
    switch CacheFolder.make("plugins", in: cache) {
    case .success(let cacheFolder): folder = cacheFolder
    case .failure(let failure): throw .cannotCache(path: path, reason: failure.reason)
    }
    let library = "\(folder)/\(key).so"
    if access(library, R_OK) == 0 { return library }
    let unfinished = "\(library).\(getpid())"
    defer { unlink(unfinished) }
    let code = Self.run([
      compiler, "-O", "-emit-library", "-parse-as-library", "-swift-version", "6", "-module-name",
      Self.moduleName(path, key), "-module-cache-path", folder + "/modules", "-I", modules, path,
      "-o", unfinished,
    ])
    guard code == 0 else { throw .notCompiled(path: path) }
    guard rename(unfinished, library) == 0 else {
      throw .cannotCache(path: path, reason: String(cString: strerror(errno)))
    }
    return library
  }

  /// Two files with the same name may be loaded at once, so the content is part of the module name.
  private static func moduleName(_ path: String, _ key: String) -> String {
    let stem = path.split(separator: "/").last.map { $0.dropLast(".swift".count) } ?? ""
    let letters = stem.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0) : "_" }
    return "Plugin_" + letters.joined() + "_" + key.prefix(8)
  }

  /// The folder of the API's module: next to this program in SwiftPM's build folder, or as
  /// installed.
  private static func modules(_ path: String) throws(LoadingError) -> String {
    let folder = Files.programFolder
    var folders = [folder + "/Modules", folder + "/../lib/tasklog/modules"]
    if let custom = getenv(EnvironmentVariable.modules.rawValue) {
      folders.insert(String(cString: custom), at: 0)
    }
    for folder in folders where access(folder + "/TaskLogPlugin.swiftmodule", R_OK) == 0 {
      return folder
    }
    throw .noModule(path: path, folders: folders)
  }

  private static func find(_ program: String) -> String? {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    return path.split(separator: ":").map { "\($0)/\(program)" }
      .first { access($0, X_OK) == 0 }
  }

  private static func run(_ words: [String]) -> Int32 {
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child = pid_t()
    guard posix_spawn(&child, words[0], nil, nil, &arguments, environ) == 0 else { return 127 }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status
  }
}

/// A 128-bit hash for the names of cached files: FNV-1a
/// (http://www.isthe.com/chongo/tech/comp/fnv/) by words of eight bytes.
struct ContentHash {
  private var state: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D

  mutating func add(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { bytes in
      let alignedCount = bytes.count & ~7
      for offset in stride(from: 0, to: alignedCount, by: 8) {
        mix(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      }
      for offset in alignedCount..<bytes.count { mix(UInt64(bytes[offset])) }
    }
    // Adding the length makes two additions differ from one of both parts together.
    mix(UInt64(bytes.count))
  }

  private mutating func mix(_ word: UInt64) {
    state = (state ^ UInt128(word)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B
    // A product carries only upwards.
    state ^= state >> 64
  }

  var text: String { state.hexadecimal }
}

package enum Files {
  /// The folder of this program.
  package static var programFolder: String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let program = String(
      decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
  }

  /// - Throws: `LoadingError`.
  static func read(_ path: String, displayName name: String) throws(LoadingError) -> [UInt8] {
    // A named pipe would block.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw .unreadable(path: name, reason: String(cString: strerror(errno)))
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw .unreadable(path: name, reason: "not a regular file")
    }
    let size = Int(status.st_size)
    var count = 0
    let content = [UInt8](unsafeUninitializedCapacity: size) { bytes, filled in
      while count < size, let start = bytes.baseAddress {
        let readCount = Glibc.read(descriptor, start + count, size - count)
        if readCount <= 0 { break }
        count += readCount
      }
      filled = count
    }
    return content
  }

  /// A text that changes when a program is replaced; cheaper than asking for its version.
  static func identity(_ path: String) -> String {
    var status = stat()
    stat(path, &status)
    let real = realpath(path, nil)
    defer { free(real) }
    let name = real.map { String(cString: $0) } ?? path
    return "\(name) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }
}
