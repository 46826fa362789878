import Glibc
import LogFormat

/// Where copies of a log are delivered to.
enum Destination: Sendable, Equatable {
  /// A folder that outlives this machine: on a network file system, or a mounted volume.
  case folder(String)
  /// A command of the shell, with `{file}` where the path of a copy is to stand.
  case command(String)

  static let fileMark = "{file}"

  /// `FOLDER`, or a command with `{file}` in it; `nil` for `none`.
  init?(_ text: String) {
    guard text != "none", !text.isEmpty else { return nil }
    if text.contains(Self.fileMark) {
      self = .command(text)
    } else {
      let folder = text.hasSuffix("/") && text.utf8.count > 1 ? String(text.dropLast()) : text
      self = .folder(folder)
    }
  }

  /// What users read. A command may contain a password, so only its first word is shown.
  var text: String {
    switch self {
    case .folder(let path): path
    case .command(let command): "the command '\(command.prefix { $0 != " " })'"
    }
  }
}

/// Why a copy was not delivered.
struct DeliveryError: Error, Equatable, CustomStringConvertible {
  var description: String

  /// The error of the last call of the C library.
  static func system(_ path: String) -> DeliveryError {
    DeliveryError(description: "\(path): \(String(cString: strerror(errno)))")
  }
}
