import Glibc

/// The folder of a recorder that is gone.
package enum OrphanedFolder {
  /// Whether nothing is in it but its lock: it was made, and never used, or nearly removed.
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
