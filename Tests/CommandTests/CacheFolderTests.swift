import Foundation
import LogFormat
import TestSupport
import Testing

/// Folders whose contents are trusted: compiled plugins, and the states of replays.
@Suite struct CacheFolderTests {
  private func mode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
  }

  private func reason(_ result: Result<String, CacheFolder.Failure>) -> String? {
    guard case .failure(let failure) = result else { return nil }
    return failure.reason
  }

  @Test func `a folder is made for its user alone, and made so if it was not`() throws {
    let folder = try TemporaryFolder()
    for existing in [0o700, 0o755, 0o750] {
      let base = folder("base\(existing)")
      if existing != 0o700 {
        try FileManager.default.createDirectory(
          atPath: base + "/tasklog/x", withIntermediateDirectories: true,
          attributes: [.posixPermissions: existing])
      }
      #expect(try CacheFolder.make("x", in: base).get() == base + "/tasklog/x")
      #expect(try mode(base + "/tasklog") == 0o700 && mode(base + "/tasklog/x") == 0o700)
    }
  }

  @Test(arguments: ["/tasklog", "/tasklog/x"])
  func `a link or a folder that others may write to is refused`(part: String) throws {
    let folder = try TemporaryFolder()
    for (number, kind) in ["link", "file", "shared"].enumerated() {
      let base = folder("base\(number)")
      let path = base + part
      try FileManager.default.createDirectory(
        atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path,
        withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      switch kind {
      case "link":
        try folder.makeFolder("elsewhere\(number)")
        #expect(symlink(folder("elsewhere\(number)"), path) == 0)
      case "file": try Data().write(to: URL(fileURLWithPath: path))
      default:
        #expect(mkdir(path, 0o700) == 0 && chmod(path, 0o777) == 0)
      }
      #expect(reason(CacheFolder.make("x", in: base))?.contains(path) == true, "\(kind)")
    }
  }

  @Test func `a relative cache folder is ignored`() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("run.db"))
    let done = try Command.run(
      ["index", "--log", "run.db"],
      environment: ["XDG_CACHE_HOME": "relative", "HOME": folder("home")], folder: folder.url)
    #expect(done.code == 0, "\(done.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder("relative")))
    #expect(FileManager.default.fileExists(atPath: folder("home/.cache/tasklog")))
  }

  @Test(.enabled(if: geteuid() == 0, "needs two users"))
  func `a folder in the temporary folder that another user has made is refused`() throws {
    let folder = try TemporaryFolder()
    let taken = folder.url.path + "/tasklog-0"
    #expect(mkdir(taken, 0o755) == 0 && chown(taken, 65534, 65534) == 0)
    let refused = CacheFolder.make("x", inTemporary: folder.url.path)
    #expect(reason(refused) == "\(taken) is owned or writable by another user")
    #expect(rmdir(taken) == 0)
    #expect(try CacheFolder.make("x", inTemporary: folder.url.path).get() == taken + "/tasklog/x")
    #expect(try mode(taken) == 0o700)
  }
}
