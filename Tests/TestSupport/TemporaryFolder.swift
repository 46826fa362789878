import Foundation

/// A temporary folder for a test, removed with this object. Other users may read it.
package final class TemporaryFolder: Sendable {
  package let url: URL
  package var path: String { url.path }

  package init() throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("tasklog-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of a file in the folder.
  package func callAsFunction(_ name: String) -> String { url.path + "/" + name }

  package func write(_ name: String, _ content: [UInt8]) throws {
    try Data(content).write(to: URL(fileURLWithPath: self(name)))
  }

  package func write(_ name: String, _ content: String) throws {
    try write(name, Array(content.utf8))
  }

  package func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: self(name), withIntermediateDirectories: true)
  }

  package func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self(name)) }

  /// Everything in the folder, at any depth.
  package var names: [String] {
    (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).sorted()
  }
}
