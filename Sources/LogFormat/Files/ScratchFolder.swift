import Glibc
import Synchronization

/// A folder for temporary files, mostly in `$TMPDIR`. After a SIGKILL the next process that needs such a
/// folder removes it: the folder's lock is free.
package final class ScratchFolder {
  private static let prefix = "tasklog-scratch-"
  /// The prefix of a folder that is not locked yet.
  private static let prefixOfNew = "tasklog-new-scratch-"
  /// By this age a folder's creator has locked it.
  private static let secondsUntilStale = 60

  private let parent: String
  private let folder: String
  private let willCreate: () -> Void
  private var isCreated = false
  private var lock: Int32 = -1
  package private(set) var count = 0

  /// - Parameters:
  ///   - parent: the folder in which it is created instead of `$TMPDIR`.
  ///   - willCreate: called before the folder is created, so that a program can see to it that
  ///     `removeAll` is called when it ends.
  package init(in parent: String? = nil, willCreate: @escaping () -> Void = {}) {
    let parent = parent ?? Self.temporary
    self.parent = parent
    folder = parent + "/" + Self.prefix + RunID.make()
    self.willCreate = willCreate
  }

  deinit { remove() }

  private static var temporary: String {
    let chosen = getenv("TMPDIR").map { String(cString: $0) } ?? ""
    return chosen.isEmpty ? "/tmp" : chosen
  }

  /// The path of a file in the folder; the folder itself is created with the first one.
  package func path(_ name: String) -> String {
    count += 1
    if !isCreated {
      isCreated = true
      Self.removeStale(in: parent)
      willCreate()
      Self.live.withLock { _ = $0.insert(folder) }
      mkdir(parent, 0o700)
      makeLocked()
    }
    return folder + "/" + name
  }

  /// Creates the folder. It gets its name once it is locked: from then on, a free lock means that its
  /// process is dead.
  private func makeLocked() {
    let id = folder.lastPathComponent.dropFirst(Self.prefix.count)
    let new = parent + "/" + Self.prefixOfNew + id
    mkdir(new, 0o700)
    lock = open(new, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if lock >= 0 { flock(lock, LOCK_EX | LOCK_NB) }
    rename(new, folder)
  }

  package func remove() {
    if isCreated {
      Self.remove(folder)
      Self.live.withLock { _ = $0.remove(folder) }
    }
    if lock >= 0 { close(lock) }
    (isCreated, lock) = (false, -1)
  }

  // MARK: - All folders

  /// The folders of this process.
  private static let live = Mutex<Set<String>>([])

  /// Removes the folders of this process, for one that ends.
  package static func removeAll() {
    live.withLock { folders in
      for folder in folders {
        // Running work may still create files in it.
        for _ in 0..<100 where access(folder, F_OK) == 0 { remove(folder) }
      }
    }
  }

  private static func removeStale(in parent: String) {
    for name in names(in: parent) {
      if name.hasPrefix(prefix) { removeIfStale(parent + "/" + name, age: 0) }
      if name.hasPrefix(prefixOfNew) { removeIfStale(parent + "/" + name, age: secondsUntilStale) }
    }
  }

  private static func removeIfStale(_ folder: String, age: Int) {
    var status = stat()
    guard lstat(folder, &status) == 0, status.st_uid == geteuid(),
      age == 0 || time(nil) - status.st_mtim.tv_sec > age
    else { return }
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return }
    remove(folder)
  }

  private static func remove(_ path: String) {
    // Fails for a folder; a link is removed and not followed.
    guard unlink(path) != 0, errno != ENOENT else { return }
    for name in names(in: path) { remove(path + "/" + name) }
    rmdir(path)
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
