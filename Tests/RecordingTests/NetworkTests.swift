import Foundation
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import EventLog
@testable import LogFormat

/// A log that is not on a known local file system is written to a local disk, and that is reported.
@Suite(.exclusive(.services)) struct NetworkTests {
  @Test(arguments: [
    ("ext4", true), ("xfs", true), ("btrfs", true), ("zfs", true), ("tmpfs", true),
    ("overlay", true), ("fuseblk", true), ("fuse.fuse-overlayfs", true), ("nfs4", false),
    ("cifs", false), ("9p", false), ("wekafs", false), ("panfs", false), ("virtiofs", false),
    ("fuse", false), ("fuse.sshfs", false), ("fuse.s3fs", false), ("fuse.bindfs", false),
    ("afs2030", false), ("", false),
  ])
  func `only file systems known to be local count as local`(
    type: String, isLocal: Bool
  ) {
    #expect(LocalFileSystem.contains(type) == isLocal)
  }

  @Test(
    arguments: [
      (0xEF53, true), (0x9123_683E, true), (0x0102_1994, true), (0x6969, false),
      (0x6573_5546, false), (0x0102_1997, false), (0x1234_5678, false),
    ] as [(UInt32, Bool)])
  func `a device missing in the table of mounts is classified by the kernel's magic number`(
    magic: UInt32, isLocal: Bool
  ) {
    #expect(LocalFileSystem.contains(LocalFileSystem.name(ofMagic: magic)) == isLocal)
  }

  @Test func `the folders that logs are tested in are local`() throws {
    let log = try TemporaryLog()
    #expect(LogLocation.networkFileSystem(of: log.folder.path + "/run.db") == nil)
    #expect(LogLocation.networkFileSystem(of: "/dev/shm/run.db") == nil)
    #expect(LogLocation.networkFileSystem(of: "/proc/run.db") == "proc")
  }

  @Test func `the error for a log on a stand-in disk names the host`() {
    let here = LogError.elsewhere(
      path: "/weka/run.db", fileSystem: "wekafs", standIn: "/var/tmp/run.db", host: "node7")
    #expect("\(here)".contains("on host node7, in /var/tmp/run.db"))
    let there = LogError.elsewhere(
      path: "/weka/run.db", fileSystem: "wekafs", standIn: "/var/tmp/run.db", host: nil)
    #expect("\(there)".contains("on the host of its recorder") && "\(there)".contains("wekafs"))
  }

  @Test func `the type of a file system is found by its device`() {
    let mounts = """
      22 27 0:21 / /proc rw,nosuid shared:5 - proc proc rw
      42 27 0:39 / /mnt/with\\040space rw,nosuid - nfs4 server:/export rw,vers=4.2
      broken line
      """
    #expect(LogLocation.fileSystem("0:39", in: mounts) == "nfs4")
    #expect(LogLocation.fileSystem("0:99", in: mounts) == nil)
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
    // sshfs without a network: it talks to the file server through a pipe.
    let command =
      "(\(Self.server) <'\(folder)/pipe' | sshfs ':\(folder)/far' '\(mount)' -o passive "
      + ">'\(folder)/pipe') >/dev/null 2>&1 &"
    try #require(system(command) == 0)
    defer { _ = system("umount -l '\(mount)'") }
    let asked = mount + "/run.db"
    try wait(for: "the mount of \(mount)") { LogLocation.networkFileSystem(of: asked) != nil }
    let told = Told()
    var options = Recorder.Options()
    options.problem = { told.message = $0 }
    let recorder = try Recorder(log: asked, options: options)
    recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      .record(Event(.start, time: 1))
    recorder.close()
    defer { unlink(recorder.log) }
    #expect(told.message.contains("fuse.sshfs"))
    #expect(told.message.contains("on host \(LogLocation.host) into \(recorder.log)"))
    #expect(try LogReader(path: recorder.log).runs().count == 1)
    // A copy is where the user looks for the log.
    #expect(told.message.contains("copies are delivered to \(mount)"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: mount) == ["run.db"])
    let copy = try #require(try LogReader(path: asked).runs().first)
    #expect(copy.id == recorder.runID && copy.end == .closed && copy.asOf == nil)
    // The same location again, so that runs are in one log.
    #expect(try LogLocation.standIn(for: asked) == recorder.log)
  }

  private final class Told: @unchecked Sendable {
    // Written by the thread that creates the recorder.
    var message = ""
  }
}
