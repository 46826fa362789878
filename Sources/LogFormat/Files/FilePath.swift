import Glibc

/// The parts of a path. Nothing is looked up, so that a link in it stays.
extension String {
  /// The name of a file without its folder.
  package var lastPathComponent: String { String(splitPath.name) }

  /// The folder of a file, to which a slash and a name can be added.
  package var parentFolder: String {
    guard let folder = splitPath.folder else { return "." }
    return folder.isEmpty ? "/" : String(folder)
  }

  /// The path of another file in the folder of this one.
  package func sibling(_ name: String) -> String {
    splitPath.folder.map { $0 + "/" + name } ?? name
  }

  /// The same path from the root on, in the folder that is the current one now.
  package var absolutePath: String {
    guard !hasPrefix("/") else { return self }
    let folder = getcwd(nil, 0)
    defer { free(folder) }
    return (folder.map { String(cString: $0) } ?? ".") + "/" + self
  }

  /// The folder is `nil` if there is no slash, and empty for the root.
  private var splitPath: (folder: Substring?, name: Substring) {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return (nil, self[...]) }
    return (self[..<slash], self[utf8.index(after: slash)...])
  }
}

/// Names that come from a log or a file, and so from anyone.
package enum UntrustedName {
  /// Whether it names a file in a given folder, rather than one elsewhere.
  package static func isFileName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == 0x2F || $0 == 0 }
  }

  /// Whether it can be the id of a run, which is the name of a folder.
  package static func isRunID(_ id: String) -> Bool {
    !id.isEmpty
      && id.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }
}
