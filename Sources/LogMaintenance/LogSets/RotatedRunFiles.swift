import EventLog
import Glibc
import LogFormat
import Synchronization

/// The segments of rotated runs, merged into one log that exists as long as the command.
///
/// Events keep their seqs. A live run is live here, too; if it is followed, a thread copies its new
/// events, one segment after another.
///
/// Unchecked: after `init`, only that thread accesses the properties, apart from `isOver`.
final class RotatedRunFiles: @unchecked Sendable {
  private static let pollMicroseconds: UInt32 = 20_000
  /// How long a segment may be unreadable before following ends.
  private static let patience = Duration.seconds(10)

  let path: String
  private let template: String
  private let scratch: ScratchFolder
  /// `nil` after it was closed.
  private var merge: LogMerge?
  private let progress: (_ total: Int64) -> (_ merged: Int64?) -> Void
  private let warn: @Sendable (String) -> Void
  /// The locks that show readers of this log that a run is live, by run ID.
  private var locks: [String: RecorderLock] = [:]
  /// Copies the new events of a live run.
  private var follower: SegmentFollower?
  private let isOver = Atomic(false)
  private let failed = Atomic(false)
  private let isFollowed: Bool
  private var thread: pthread_t?
  private var isClosed = false
  /// Whether there are segments in it that were not named.
  private var hasMoreFiles = false

  /// - Throws: `LogError`, `LogSetError`.
  init(
    _ template: String, _ files: [String], follows: Bool,
    _ environment: LogSet.Environment = LogSet.Environment()
  ) throws {
    self.template = template
    isFollowed = follows
    (progress, warn) = (environment.progress, environment.warn)
    scratch = ScratchFolder(willCreate: environment.willCreateScratch)
    path = scratch.path("joined.db")
    do {
      merge = try LogMerge(into: path, preservesSeq: true)
    } catch {
      scratch.remove()
      throw LogSetError.cannotMerge(template: template, reason: "\(error)")
    }
    do {
      try add(files)
    } catch {
      close()
      guard case .cannotWrite(path, _)? = error as? LogError else { throw error }
      throw LogSetError.cannotMerge(template: template, reason: "\(error)")
    }
    guard follows, !locks.isEmpty else { return }
    thread = ParallelThread.start { self.follow() }
    if thread == nil {
      locks.removeAll()
      fail("no thread can be started")
    }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    isOver.store(true, ordering: .releasing)
    if let thread { pthread_join(thread, nil) }
    closeMerge()
    locks.removeAll()
    scratch.remove()
  }

  private func closeMerge() {
    merge?.close(isIndexing: false)
    merge = nil
  }

  /// The log, closed, if nothing will be added to it.
  func finished() -> String? {
    guard !isFollowed, locks.isEmpty, !hasMoreFiles else { return nil }
    closeMerge()
    return path
  }

  private func add(_ files: [String]) throws {
    guard let merge else { return }
    var readers = try files.map { try LogReader(path: $0) }
    let show = progress(try readers.reduce(0) { try $0 + $1.eventCount() })
    defer { show(nil) }
    var done: Int64 = 0
    var index = 0
    while index < readers.count {
      let reader = readers[index]
      let changes = try reader.changeCount()
      let runs = try reader.runs()
      let next = index + 1 < readers.count ? try Set(readers[index + 1].runs().map(\.id)) : []
      // A next segment may have just been started.
      let hasNext = isFollowed && SegmentFollower.next(after: reader.path, template) != nil
      let live = runs.filter { !next.contains($0.id) && ($0.end == .running || hasNext) }
      // The end of a segment is not the end of a run that was live a moment ago.
      let result = try merge.add(reader, goingOn: next.union(live.map(\.id))) {
        show(done + $0)
      }
      done += result.added + result.known
      for run in live {
        locks[run.id] = try RecorderLock(log: path, run: run.id)
        follower = SegmentFollower(merge, template: template, segment: reader, changes: changes)
      }
      index += 1
      // A new segment may have been started since the files were listed.
      if !isFollowed, let newest = SegmentFollower.next(after: reader.path, template),
        !readers.contains(where: { $0.path == newest })
      {
        hasMoreFiles = true
        readers.insert(try LogReader(path: newest), at: index)
      }
    }
  }

  // MARK: - Following

  /// Whether following ended before the run did.
  var hasFailed: Bool { failed.load(ordering: .acquiring) }

  private func follow() {
    var failingSince: ContinuousClock.Instant?
    while !isOver.load(ordering: .acquiring), let follower {
      do {
        if try !follower.step() { break }
        failingSince = nil
      } catch {
        let now = ContinuousClock.now
        let since = failingSince ?? now
        failingSince = since
        if now - since > Self.patience {
          fail("\(error)")
          break
        }
      }
      usleep(Self.pollMicroseconds)
    }
    locks.removeAll()
  }

  private func fail(_ reason: String) {
    failed.store(true, ordering: .releasing)
    warn("\(template): stopped following: \(reason)")
  }
}
