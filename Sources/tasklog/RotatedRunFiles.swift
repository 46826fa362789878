import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Querying
import Synchronization

/// The files of runs that were recorded into several, as one log that lasts as long as the command.
///
/// Events have the numbers that they have in the files. A run that goes on is one that goes on here,
/// too; where it is followed, a thread brings what is recorded, from one file to the next.
///
/// Unchecked: after `init` everything but `isOver` belongs to that thread, or where there is none to
/// nobody.
final class RotatedRunFiles: @unchecked Sendable {
  private static let microsecondsBetweenLooks: UInt32 = 20_000
  /// How long a segment may be unreadable before it is given up.
  private static let nanosecondsOfPatience: UInt64 = 10_000_000_000

  let path: String
  private let given: String
  private let scratch = ScratchFolder()
  private let merge: LogMerge
  /// By which readers of this log see that a run goes on, by its id.
  private var locks: [String: RecorderLock] = [:]
  /// Brings what comes of a run that goes on.
  private var follower: SegmentFollower?
  private let isOver = Atomic(false)
  private let failed = Atomic(false)
  private let hasEnded = DispatchSemaphore(value: 0)
  private let isFollowed: Bool
  private var isFollowing = false
  private var isClosed = false

  /// - Throws: `LogError`, `Failure`.
  init(_ given: String, _ files: [String], follows: Bool) throws {
    self.given = given
    isFollowed = follows
    path = scratch.path("joined.db")
    do {
      merge = try LogMerge(into: path, preservesSeq: true)
    } catch {
      scratch.remove()
      throw Self.explained(error, given)
    }
    do {
      try add(files)
    } catch {
      close()
      guard case .cannotWrite(path, _)? = error as? LogError else { throw error }
      throw Self.explained(error, given)
    }
    guard follows, !locks.isEmpty else { return }
    isFollowing = true
    Thread.detachNewThread {
      self.follow()
      self.hasEnded.signal()
    }
  }

  /// What has no room here may have it elsewhere.
  private static func explained(_ error: any Error, _ given: String) -> Failure {
    .run(
      "\(given): its files cannot be put together (\(error)); TMPDIR names another folder for that, "
        + "and --log one of the files")
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    isOver.store(true, ordering: .releasing)
    if isFollowing { hasEnded.wait() }
    merge.close(isIndexing: false)
    locks.removeAll()
    scratch.remove()
  }

  private func add(_ files: [String]) throws {
    var readers = try files.map { try LogReader(path: $0) }
    let total = try readers.reduce(Int64(0)) { sum, reader in
      try reader.runs().reduce(sum) { try $0 + reader.eventCount(of: $1) }
    }
    var bar = ProgressBar(total: total, noun: "events")
    defer { bar.finish() }
    var done: Int64 = 0
    var place = 0
    while place < readers.count {
      let reader = readers[place]
      let changes = try reader.changeCount()
      let runs = try reader.runs()
      let next = place + 1 < readers.count ? try Set(readers[place + 1].runs().map(\.id)) : []
      // It may have become the last but one just now.
      let goesOn = isFollowed && SegmentFollower.next(after: reader.path, given) != nil
      let live = runs.filter { !next.contains($0.id) && ($0.end == .running || goesOn) }
      // The end of a segment is none of the run when it was live a moment ago.
      let result = try merge.add(reader, goingOn: next.union(live.map(\.id))) {
        bar.show(done + $0)
      }
      done += result.added + result.known
      for run in live {
        locks[run.id] = try RecorderLock(log: path, run: run.id)
        follower = SegmentFollower(merge, template: given, segment: reader, changes: changes)
      }
      place += 1
      // A run may have gone on in another file since they were looked for.
      if !isFollowed, let fresh = SegmentFollower.next(after: reader.path, given),
        !readers.contains(where: { $0.path == fresh })
      {
        readers.insert(try LogReader(path: fresh), at: place)
      }
    }
  }

  // MARK: - Following

  /// Whether following ended before the run did.
  var hasFailed: Bool { failed.load(ordering: .acquiring) }

  private func follow() {
    var failingSince: UInt64?
    while !isOver.load(ordering: .acquiring), let follower {
      do {
        if try !follower.step() { break }
        failingSince = nil
      } catch {
        let now = DispatchTime.now().uptimeNanoseconds
        let since = failingSince ?? now
        failingSince = since
        if now - since > Self.nanosecondsOfPatience {
          failed.store(true, ordering: .releasing)
          Console.complain("\(given): what comes is not seen any more: \(error)")
          break
        }
      }
      usleep(Self.microsecondsBetweenLooks)
    }
    locks.removeAll()
  }
}
