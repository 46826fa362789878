import CSQLite
import Glibc

/// The lock that a recorder holds as long as it lives, on a file in its own folder beside the log.
///
/// The kernel lets go of it when the process dies, however it dies; the child of a fork does not keep
/// it (`tl_open_file_of_process`). By it a reader tells a run that is still going on from one that
/// died. The folder is the place of the recorder's spool.
public final class RecorderLock {
  private let descriptor: Int32
  private var folder: String
  private var parent: String

  /// The folder of all recorders' folders.
  public static func parent(ofLog path: String) -> String { path + ".spool" }

  private static func file(log path: String, run: String) -> String {
    parent(ofLog: path) + "/" + run + "/lock"
  }

  /// Makes the folder of a run's recorder and takes its lock.
  ///
  /// - Throws: `LogError.cannotWrite`.
  public convenience init(log path: String, run: String) throws {
    try self.init(in: Self.parent(ofLog: path), run: run)
  }

  /// The same in a folder of recorders that have no log.
  ///
  /// - Throws: `LogError.cannotWrite`.
  public init(in parent: String, run: String) throws {
    guard Self.isSafe(run) else {
      throw LogError.cannotWrite(path: parent, reason: "'\(run)' cannot be the id of a run")
    }
    self.parent = parent
    folder = parent + "/" + run
    let file = folder + "/lock"
    var opened: Int32 = -1
    // Another recorder that closes may take the parent folder away between two of these steps, and
    // who cleans up what killed ones have left may take the folder or the file.
    for _ in 0..<100 where opened < 0 {
      for name in [parent, folder] where mkdir(name, 0o700) != 0 {
        guard errno == EEXIST || errno == ENOENT else {
          throw LogError.cannotWrite(path: name, reason: String(cString: strerror(errno)))
        }
      }
      let fresh = tl_open_file_of_process(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
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

  /// Whether an open file is the one that its name leads to, and was not removed meanwhile.
  private static func isStill(_ descriptor: Int32, at path: String) -> Bool {
    var (held, named) = (stat(), stat())
    return fstat(descriptor, &held) == 0 && stat(path, &named) == 0
      && held.st_ino == named.st_ino && held.st_dev == named.st_dev
  }

  /// Takes the lock that a dead recorder has left behind; nothing when a living one holds it, or
  /// there is none.
  public convenience init?(takingOver run: String, log path: String) {
    self.init(takingOver: run, in: Self.parent(ofLog: path), isMaking: true)
  }

  /// The same in a folder of recorders that have no log.
  ///
  /// - Parameter isMaking: makes the lock where the folder is there and the lock is not: whoever is
  ///   killed while it removes the folder may have removed the lock already.
  public init?(takingOver run: String, in parent: String, isMaking: Bool = false) {
    let folder = parent + "/" + run
    // Nothing is stored before it is ours: `deinit` would take away what is another's.
    guard Self.isSafe(run), let descriptor = Self.takenOver(folder, isMaking) else { return nil }
    self.parent = parent
    self.folder = folder
    self.descriptor = descriptor
  }

  private static func takenOver(_ folder: String, _ isMaking: Bool) -> Int32? {
    let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (isMaking ? O_CREAT : 0)
    let descriptor = tl_open_file_of_process(folder + "/lock", flags, 0o600)
    guard descriptor >= 0 else { return nil }
    // Another one may have recovered it, and removed it, while this one was waiting.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(descriptor, at: folder + "/lock")
    else {
      tl_close_file_of_process(descriptor)
      return nil
    }
    return descriptor
  }

  /// The folder of a run's recorder, where its spool lies; nothing when the id, which may be a
  /// stranger's, would lead somewhere else.
  public static func folder(log path: String, run: String) -> String? {
    isSafe(run) ? parent(ofLog: path) + "/" + run : nil
  }

  /// The folder that this lock is for.
  public var path: String { folder }

  /// Lets another log's readers find this lock, ahead of `move`: by a link to the folder.
  ///
  /// - Throws: `LogError.cannotWrite`.
  public func announce(toLog path: String, run: String) throws {
    let newParent = Self.parent(ofLog: path)
    let name = parent.split(separator: "/").last ?? ""
    withdraw(fromLog: path, run: run)
    mkdir(newParent, 0o700)
    guard symlink("../\(name)/\(run)", newParent + "/" + run) == 0 else {
      throw LogError.cannotWrite(path: newParent, reason: String(cString: strerror(errno)))
    }
  }

  /// Takes back what `announce` did, where it came to nothing.
  public func withdraw(fromLog path: String, run: String) {
    let newParent = Self.parent(ofLog: path)
    // A folder stays: only a link is removed by this.
    unlink(newParent + "/" + run)
    rmdir(newParent)
  }

  /// Moves the folder beside another log, to which it was announced, and whose recorder this one is
  /// from then on. The lock, which is on the file and not on its name, is held all the time, and is
  /// found from both logs until `releasePreviousLog`.
  ///
  /// - Parameter exchange: lets two names change places at once; false where that cannot be done.
  /// - Throws: `LogError.cannotWrite`.
  public func move(
    toLog path: String, run: String, exchange: (_ a: String, _ b: String) -> Bool
  ) throws {
    let (newParent, newFolder) = (Self.parent(ofLog: path), Self.parent(ofLog: path) + "/" + run)
    if !exchange(folder, newFolder) {
      unlink(newFolder)
      guard rename(folder, newFolder) == 0 else {
        throw LogError.cannotWrite(path: newFolder, reason: String(cString: strerror(errno)))
      }
    }
    // After the exchange there is the link that announced it, which leads to itself now.
    let link = folder + ".link"
    unlink(link)
    if symlink("../\(newParent.split(separator: "/").last ?? "")/\(run)", link) == 0 {
      rename(link, folder)
    }
    releasePreviousLog()
    former = (parent, folder)
    (parent, folder) = (newParent, newFolder)
  }

  /// Lets the log before find this lock no more: the run has ended in it.
  public func releasePreviousLog() {
    guard let (parent, folder) = former else { return }
    former = nil
    // A folder stays: only a link is removed by this.
    unlink(folder)
    // Only goes when no other recorder has its folder in it.
    rmdir(parent)
  }

  private var former: (parent: String, folder: String)?

  /// Leaves the folder where it is when the lock is let go of: there is something to be recovered in
  /// it.
  public func leaveFolder() {
    leavesFolder = true
  }

  /// Takes the folder away after all when the lock is let go of.
  public func removeFolder() {
    leavesFolder = false
  }

  private var leavesFolder = false
  /// A process that is forked from the owner must not take the owner's folder away.
  private let owner = getpid()

  deinit {
    if owner == getpid() { releasePreviousLog() }
    if !leavesFolder, owner == getpid() {
      unlink(folder + "/lock")
      rmdir(folder)
      // Only goes when no other recorder has its folder in it.
      rmdir(parent)
    }
    tl_close_file_of_process(descriptor)
  }

  /// Two seconds of them, and a little more.
  private static let attemptsAtLoop = 10_000

  /// Whether the recorder of a run is alive. Where that cannot be found out, because the folder is
  /// another user's, it counts as alive: nobody may call a run dead that goes on.
  public static func isHeld(log path: String, run: String) -> Bool {
    guard isSafe(run) else { return false }
    var descriptor: Int32 = -1
    // For a moment it may lead to itself, see `move`; on a busy machine that moment is long. What was
    // killed in it has left it so, until somebody cleans up.
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

  /// Whether a run id can be the name of a folder. Ids are read from logs, which may come from a
  /// stranger: one with a slash in it would lead somewhere else.
  private static func isSafe(_ run: String) -> Bool {
    !run.isEmpty
      && run.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }
  }
}
