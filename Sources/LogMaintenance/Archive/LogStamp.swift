import Glibc
import LogFormat

/// What tells that a log and its WAL have not changed.
struct LogStamp: Equatable {
  private var file: [Int64]
  private let changed: Int64

  /// `nil` if there is no such file.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    func time(_ time: timespec) -> Int64 {
      Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
    file = [
      Int64(bitPattern: UInt64(status.st_dev)), Int64(bitPattern: UInt64(status.st_ino)),
      Int64(status.st_size), time(status.st_mtim), time(status.st_ctim),
    ]
    var wal = stat()
    // A reader may create an empty one.
    let hasWAL = stat(path + "-wal", &wal) == 0 && wal.st_size > 0
    file += hasWAL ? [Int64(wal.st_size), time(wal.st_mtim)] : [-1, -1]
    changed = max(time(status.st_mtim), hasWAL ? time(wal.st_mtim) : .min)
  }

  /// Whether a later change certainly changes the stamp: clocks of file systems are coarse.
  var isOld: Bool { Clock.now() &- changed > 1_000_000_000 }

  static func == (one: Self, other: Self) -> Bool { one.file == other.file }

  /// A file that has the same text is the same, wherever it is.
  var text: String { file.map(String.init).joined(separator: " ") }
}
