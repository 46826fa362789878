import Foundation
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import EventLog

/// What would lie on a network file system is written to a local disk, and it says so.
@Suite(.exclusive) struct NetworkTests {
  @Test(arguments: [
    ("nfs4", true), ("cifs", true), ("fuse.sshfs", true), ("fuse.s3fs", true), ("ext4", false),
    ("tmpfs", false), ("overlay", false), ("fuse.bindfs", false), ("fuseblk", false),
  ])
  func `network file systems are told from local ones`(type: String, isNetwork: Bool) {
    #expect(LogPlace.isNetwork(type) == isNetwork)
  }

  @Test func `the type of a file system is found by its device`() {
    let mounts = """
      22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw
      42 27 0:39 / /mnt/with\\040space rw,nosuid - nfs4 server:/export rw,vers=4.2
      broken line
      """
    #expect(LogPlace.fileSystem("0:39", in: mounts) == "nfs4")
    #expect(LogPlace.fileSystem("0:99", in: mounts) == nil)
  }

  private static let server = "/usr/lib/openssh/sftp-server"
  private static let hasSSHFS =
    getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0 && access(server, X_OK) == 0
    && access("/usr/bin/sshfs", X_OK) == 0

  @Test(.enabled(if: hasSSHFS, "needs sshfs, sftp-server and the right to mount"))
  func `a log on a network file system is recorded on a local disk`() throws {
    let log = try TemporaryLog()
    let folder = log.folder.path
    let mount = folder + "/mount"
    for name in ["/mount", "/far"] { mkdir(folder + name, 0o700) }
    mkfifo(folder + "/pipe", 0o600)
    // sshfs without a network: it talks to the server of files through a pipe.
    let command =
      "(\(Self.server) <'\(folder)/pipe' | sshfs ':\(folder)/far' '\(mount)' -o passive "
      + ">'\(folder)/pipe') >/dev/null 2>&1 &"
    try #require(system(command) == 0)
    defer { _ = system("umount -l '\(mount)'") }
    let asked = mount + "/run.db"
    try wait(for: "the mount of \(mount)") { LogPlace.networkFileSystem(of: asked) != nil }
    let told = Told()
    var options = Recorder.Options()
    options.problem = { told.message = $0 }
    let recorder = try Recorder(log: asked, options: options)
    recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      .record(Event(.start, time: 1))
    recorder.close()
    defer { unlink(recorder.log) }
    #expect(told.message.contains("fuse.sshfs") && told.message.contains(recorder.log))
    #expect(try LogReader(path: recorder.log).runs().count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: mount).isEmpty)
    #expect(throws: LogError.self) { try LogReader(path: asked) }
    // The same place again, so that runs come together.
    #expect(try LogPlace.standIn(for: asked) == recorder.log)
  }

  private final class Told: @unchecked Sendable {
    // Written by the thread that makes the recorder.
    var message = ""
  }
}
