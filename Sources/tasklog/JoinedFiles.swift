import EventLog
import Foundation
import Querying
import Synchronization

/// The files of runs that were recorded into several, as one log that lasts as long as the command.
///
/// Events have the numbers that they have in the files. A run that goes on is one that goes on here,
/// too; where it is followed, a thread brings what is recorded, from one file to the next.
///
/// Unchecked: after `init` everything but `isOver` belongs to that thread, or where there is none to
/// nobody.
final class JoinedFiles: @unchecked Sendable {
  private static let microsecondsBetweenLooks: UInt32 = 20_000

  let path: String
  private let given: String
  private let scratch = ScratchFolder()
  private let merge: LogMerge
  /// By which readers of this log see that a run goes on, by its id.
  private var locks: [String: RecorderLock] = [:]
  /// The last file of a run that goes on.
  private var last: (path: String, reader: LogReader, changes: Int64)?
  private let isOver = Atomic(false)
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
      merge = try LogMerge(into: path, isKeepingNumbers: true)
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
    let readers = try files.map { try LogReader(path: $0) }
    let total = try readers.reduce(Int64(0)) { sum, reader in
      try reader.runs().reduce(sum) { try $0 + reader.eventCount(of: $1) }
    }
    var bar = ProgressBar(total: total, noun: "events")
    defer { bar.finish() }
    var done: Int64 = 0
    for (place, reader) in readers.enumerated() {
      let changes = try reader.changeCount()
      let runs = try reader.runs()
      let next = place + 1 < files.count ? try Set(readers[place + 1].runs().map(\.id)) : []
      // It may have become the last but one just now.
      let goesOn = isFollowed && Self.next(after: reader.path, given) != nil
      let live = runs.filter { !next.contains($0.id) && ($0.end == .running || goesOn) }
      let result = try merge.add(
        reader, goingOn: isFollowed ? next.union(live.map(\.id)) : next
      ) { bar.show(done + $0) }
      done += result.added + result.known
      for run in live {
        locks[run.id] = try RecorderLock(log: path, run: run.id)
        last = (reader.path, reader, changes)
      }
    }
  }

  // MARK: - Following

  private func follow() {
    while !isOver.load(ordering: .acquiring), let file = last {
      do {
        try catchUp(file)
      } catch {
        Console.complain("\(given): what comes is not seen any more: \(error)")
        last = nil
      }
      if last != nil { usleep(Self.microsecondsBetweenLooks) }
    }
    locks.removeAll()
  }

  private func catchUp(_ file: (path: String, reader: LogReader, changes: Int64)) throws {
    // Whether it goes on is asked before the last look, so that nothing is left behind.
    let isLive = try file.reader.runs().contains { $0.end == .running }
    let changes = try file.reader.changeCount()
    let next = isLive ? nil : Self.next(after: file.path, given)
    if changes != file.changes || !isLive {
      let ids = next == nil ? [] : try Set(file.reader.runs().map(\.id))
      _ = try merge.add(file.reader, goingOn: ids)
    }
    if let next {
      last = (next, try LogReader(path: next), -1)
    } else {
      last = isLive ? (file.path, file.reader, changes) : nil
    }
  }

  /// The file that a run goes on in.
  static func next(after path: String, _ given: String) -> String? {
    let files = LogTemplate.files(given)
    guard let file = files.first(where: { $0.path == path }) else {
      // It was pruned meanwhile.
      return nil
    }
    return files.first { $0.run == file.run && $0.part > file.part }?.path
  }
}
