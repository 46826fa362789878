import Glibc

/// The folder of a recorder that no longer exists.
package enum OrphanedFolder {
  /// Whether the folder contains only its lock: it was created and never used, or its removal was
  /// interrupted.
  package static func isEmpty(_ folder: String) -> Bool {
    guard let stream = opendir(folder) else { return false }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != "..", name != "lock" { return false }
    }
    return true
  }
}
