import Glibc

/// Lists folders.
package enum FolderListing {
  /// Why a folder cannot be listed.
  package struct Failure: Error, CustomStringConvertible {
    /// A value of `errno`.
    package var code: Int32

    /// Whether there is no such folder.
    package var isMissing: Bool { code == ENOENT }
    package var description: String { String(cString: strerror(code)) }
  }

  /// The names in a folder, sorted by their bytes, without `.` and `..`.
  package static func names(_ folder: String) throws(Failure) -> [String] {
    try bytes(Array(folder.utf8CString)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The same as bytes, which need not be UTF-8.
  ///
  /// - Parameter folder: ends with 0.
  package static func bytes(_ folder: [CChar]) throws(Failure) -> [[UInt8]] {
    guard let stream = opendir(folder) else { throw Failure(code: errno) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
      // The only difference between the end and an error.
      errno = 0
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw Failure(code: errno) }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
      }
      // An entry is as long as its name, which may be shorter than its declared type.
      guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return names }
      let name = UnsafeRawPointer(entry) + offset
      let bytes = UnsafeRawBufferPointer(
        start: name, count: strlen(name.assumingMemoryBound(to: CChar.self)))
      if bytes.elementsEqual(".".utf8) || bytes.elementsEqual("..".utf8) { continue }
      names.append(Array(bytes))
    }
  }
}
