import CSQLite
import Glibc

/// The lock that a recorder holds during its lifetime, on a file in its own folder next to the log.
///
/// The kernel releases it when the process dies, for whatever reason; the child of a fork does not
/// inherit it (`tl_open_file_of_process`). It lets a reader distinguish a run that is still
/// recording from one that died. The folder also contains the recorder's spool.
package final class RecorderLock {
  private let descriptor: Int32
  private var folder: String
  private var parent: String

  /// The folder of all recorders' folders.
  package static func parent(ofLog path: String) -> String { path + ".spool" }

  private static func file(log path: String, run: String) -> String {
    parent(ofLog: path) + "/" + run + "/lock"
  }

  /// Creates the folder of a run's recorder and acquires its lock.
  ///
  /// - Throws: `LogError.cannotWrite`.
  package convenience init(log path: String, run: String) throws {
    try self.init(in: Self.parent(ofLog: path), run: run)
  }

  /// The same in a folder of recorders without a log.
  ///
  /// - Throws: `LogError.cannotWrite`.
  package init(in parent: String, run: String) throws {
    guard UntrustedName.isRunID(run) else {
      throw LogError.cannotWrite(path: parent, reason: "'\(run)' is not a valid run id")
    }
    self.parent = parent
    folder = parent + "/" + run
    let file = folder + "/lock"
    var opened: Int32 = -1
    // Another recorder that closes may remove the parent folder between two of these steps, and a
    // process that recovers orphaned spools may remove the folder or the file.
    for _ in 0..<100 where opened < 0 {
      for name in [parent, folder] {
        guard mkdir(name, 0o700) == 0 || errno == EEXIST || errno == ENOENT else {
          throw LogError.cannotWrite(path: name, reason: String(cString: strerror(errno)))
        }
        // By a link, events would be written where a stranger wants them.
        guard !Self.isLink(name) else {
          throw LogError.cannotWrite(path: name, reason: "it is a link")
        }
      }
      let fresh = tl_open_file_of_process(file, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0o600)
      guard fresh >= 0 else { continue }
      guard flock(fresh, LOCK_EX) == 0 else {
        let code = errno
        tl_close_file_of_process(fresh)
        throw LogError.cannotWrite(path: file, reason: String(cString: strerror(code)))
      }
      if Self.isStill(fresh, at: file) { opened = fresh } else { tl_close_file_of_process(fresh) }
    }
    descriptor = opened
    guard descriptor >= 0 else {
      throw LogError.cannotWrite(path: file, reason: String(cString: strerror(errno)))
    }
  }

  private static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// Whether an open file is still the one at its path, and was not removed meanwhile.
  private static func isStill(_ descriptor: Int32, at path: String) -> Bool {
    var (held, named) = (stat(), stat())
    return fstat(descriptor, &held) == 0 && stat(path, &named) == 0
      && held.st_ino == named.st_ino && held.st_dev == named.st_dev
  }

  /// Acquires the lock of a dead recorder; `nil` if a live one holds it, or there is none.
  package convenience init?(takingOver run: String, log path: String) {
    self.init(takingOver: run, in: Self.parent(ofLog: path), isMaking: true)
  }

  /// The same in a folder of recorders without a log.
  ///
  /// - Parameter isMaking: creates the lock if the folder exists and the lock does not: a process
  ///   that is killed while it removes the folder may have removed the lock already.
  package init?(takingOver run: String, in parent: String, isMaking: Bool = false) {
    let folder = parent + "/" + run
    // Nothing is stored before the lock is ours: `deinit` would remove another recorder's folder.
    guard UntrustedName.isRunID(run), let descriptor = Self.takenOver(folder, isMaking) else {
      return nil
    }
    self.parent = parent
    self.folder = folder
    self.descriptor = descriptor
  }

  private static func takenOver(_ folder: String, _ isMaking: Bool) -> Int32? {
    let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (isMaking ? O_CREAT : 0)
    let descriptor = tl_open_file_of_process(folder + "/lock", flags, 0o600)
    guard descriptor >= 0 else { return nil }
    // Another process may have recovered and removed it while this one waited.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(descriptor, at: folder + "/lock")
    else {
      tl_close_file_of_process(descriptor)
      return nil
    }
    return descriptor
  }

  /// The folder of a run's recorder, which contains its spool; `nil` if the id, which is untrusted,
  /// would point somewhere else.
  package static func folder(log path: String, run: String) -> String? {
    UntrustedName.isRunID(run) ? parent(ofLog: path) + "/" + run : nil
  }

  /// The folder that this lock protects.
  package var path: String { folder }

  /// Makes this lock visible to readers of another log, ahead of `move`: by a link to the folder.
  ///
  /// - Throws: `LogError.cannotWrite`.
  package func announce(toLog path: String, run: String) throws {
    let newParent = Self.parent(ofLog: path)
    withdraw(fromLog: path, run: run)
    mkdir(newParent, 0o700)
    guard symlink("../\(parent.lastPathComponent)/\(run)", newParent + "/" + run) == 0 else {
      throw LogError.cannotWrite(path: newParent, reason: String(cString: strerror(errno)))
    }
  }

  /// Reverts `announce` after a failure.
  package func withdraw(fromLog path: String, run: String) {
    let newParent = Self.parent(ofLog: path)
    // A folder stays: this only removes a link.
    unlink(newParent + "/" + run)
    rmdir(newParent)
  }

  /// Moves the folder next to another log, to which it was announced, and whose recorder this one
  /// is from then on. The lock is on the file, not on its name, so it is held throughout; it is
  /// visible from both logs until `releasePreviousLog`.
  ///
  /// - Parameter exchange: swaps two names atomically; returns false if that is not supported.
  /// - Throws: `LogError.cannotWrite`.
  package func move(
    toLog path: String, run: String, exchange: (_ a: String, _ b: String) -> Bool
  ) throws {
    let (newParent, newFolder) = (Self.parent(ofLog: path), Self.parent(ofLog: path) + "/" + run)
    if !exchange(folder, newFolder) {
      unlink(newFolder)
      guard rename(folder, newFolder) == 0 else {
        throw LogError.cannotWrite(path: newFolder, reason: String(cString: strerror(errno)))
      }
    }
    // After the exchange this is the link that announced it, which now points to itself.
    let link = folder + ".link"
    unlink(link)
    if symlink("../\(newParent.lastPathComponent)/\(run)", link) == 0 {
      rename(link, folder)
    }
    releasePreviousLog()
    former = (parent, folder)
    (parent, folder) = (newParent, newFolder)
  }

  /// Removes this lock from the previous log: the run has ended there.
  package func releasePreviousLog() {
    guard let (parent, folder) = former else { return }
    former = nil
    // A folder stays: this only removes a link.
    unlink(folder)
    // Only succeeds if no other recorder has its folder in it.
    rmdir(parent)
  }

  private var former: (parent: String, folder: String)?

  /// Keeps the folder when the lock is released: it contains events to recover.
  package func leaveFolder() {
    leavesFolder = true
  }

  /// Removes the folder when the lock is released, after an earlier `leaveFolder`.
  package func removeFolder() {
    leavesFolder = false
  }

  private var leavesFolder = false
  /// A process that is forked from the owner must not remove the owner's folder.
  private let owner = getpid()

  deinit {
    if owner == getpid() { releasePreviousLog() }
    if !leavesFolder, owner == getpid() {
      unlink(folder + "/lock")
      rmdir(folder)
      // Only succeeds if no other recorder has its folder in it.
      rmdir(parent)
    }
    tl_close_file_of_process(descriptor)
  }

  /// A little more than two seconds of attempts.
  private static let attemptsAtLoop = 10_000

  /// Whether the recorder of a run is alive. If that cannot be determined, because the folder
  /// belongs to another user, it counts as alive: a run that is still recording must never be
  /// reported as dead.
  package static func isHeld(log path: String, run: String) -> Bool {
    guard UntrustedName.isRunID(run) else { return false }
    var descriptor: Int32 = -1
    // The link points to itself for a moment, see `move`; on a busy machine that moment is long. A
    // recorder that was killed in that moment has left it like this, until someone cleans up.
    for attempt in 0..<attemptsAtLoop {
      descriptor = open(
        file(log: path, run: run), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      if descriptor >= 0 || errno != ELOOP { break }
      if attempt > 0 { usleep(200) }
    }
    guard descriptor >= 0 else { return errno == EACCES || errno == EMFILE || errno == ENFILE }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }
}
