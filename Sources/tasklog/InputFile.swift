import Glibc

/// A file that a user names, or standard input.
enum InputFile {
  /// Larger ones are not the output of a command for people.
  private static let mostBytes = 1 << 30

  /// - Throws: `Failure`.
  static func text(_ path: String) throws -> String {
    let isStandardInput = path == "-"
    let descriptor = isStandardInput ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { if !isStandardInput { close(descriptor) } }
    return try text(of: descriptor, path)
  }

  /// The rest of an open file.
  ///
  /// - Parameter path: for errors.
  /// - Throws: `Failure`.
  static func text(of descriptor: Int32, _ path: String) throws -> String {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      guard count > 0 else { break }
      content += buffer[..<count]
      guard content.count <= mostBytes else {
        throw Failure.usage("\(path): larger than \(mostBytes >> 20) MiB")
      }
    }
    return String(decoding: content, as: UTF8.self)
  }

  private static func failure(_ path: String) -> Failure {
    Failure.usage("\(path): \(String(cString: strerror(errno)))")
  }
}
