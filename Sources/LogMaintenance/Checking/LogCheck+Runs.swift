import BrokerMessages
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Checks of ends of runs, and of the folders next to the file.
extension LogCheck {
  /// - Parameter runs: the runs with their live state, as of a moment ago.
  func checkRuns(_ runs: [RunInfo]) throws {
    let infos = Dictionary(runs.map { ($0.number, $0) }) { first, _ in first }
    let select = try connection.prepare(
      """
      SELECT id, started, ended, end, events, spool_position IS NOT NULL,
        EXISTS (SELECT 1 FROM source WHERE source.run = run.id AND kind = 'scheduler')
      FROM run ORDER BY id
      """)
    while try select.step() {
      let number = select.integer(0)
      let (ended, end) = (select.optionalInteger(2), select.optionalText(3))
      if let wrong = Self.wrongEnd(end, ended: ended) {
        list.add(.wrongEnd, run: number, at: "run #\(number)", wrong)
      }
      if let ended, ended < select.integer(1) {
        list.add(
          .wrongTime, run: number, at: "run #\(number)",
          "ended before it started; the clock was set back in between")
      }
      // Other logs may contain the rest.
      if partialRuns.contains(number) { continue }
      if select.integer(4) > 0, select.integer(6) == 0 {
        list.add(
          .noScheduler, run: number, at: "run #\(number)",
          "has events of workers alone; 'tasklog merge' joins it with the rest")
      }
      if end == nil, infos[number]?.end == .died {
        list.add(
          .diedUnnoticed, run: number, at: "run #\(number)",
          "its recorder died; 'tasklog recover' recovers its last events and marks the run as died"
        )
      }
    }
  }

  /// Events that were filtered on purpose are neither a hole nor a loss.
  func reportFilters(_ runs: [RunInfo]) throws {
    for run in runs where run.limits.isFiltered {
      let excluded = try LogReader(path: path).excluded(of: run).reduce(0) { $0 + $1.events }
      list.add(
        .filtered, run: run.number, count: max(1, excluded), at: "run #\(run.number)",
        "was recorded with a filter (\(run.limits.filterText)), which has left out \(excluded) events"
      )
    }
  }

  /// Events that other recorders took from the same queue are not a hole, either.
  func reportParts(_ runs: [RunInfo]) throws {
    for run in runs where run.isPartial {
      let holes = try PartialRunAudit.coverage(of: run, connection).holes
      list.add(
        .partialRun, run: run.number, count: max(1, holes), at: "run #\(run.number)",
        "came out of a queue that others may have taken from, too: "
          + (holes > 0
            ? "\(holes) of its events are not in this log" : "its end is not in this log")
          + "; check it together with their logs")
    }
  }

  /// Reports workers whose last events may be missing.
  func checkWorkers(_ runs: [RunInfo]) throws {
    let reader = try LogReader(path: path)
    for run in runs {
      for worker in try reader.incompleteWorkers(of: run) {
        list.add(
          .incompleteWorker, run: run.number, count: max(1, worker.missingEnds ?? 1),
          subject: worker.serverID ?? worker.address, at: "worker \(worker.address)",
          "has no end in the log, its last events may be missing; \([worker].way(log: path))")
      }
    }
  }

  private static func wrongEnd(_ end: String?, ended: Int64?) -> String? {
    switch (end, ended) {
    case (nil, .some): "has a time of its end, but no end"
    case (.some, nil): "has an end, but no time of it"
    case (.some(let end), .some) where RunEnd(rawValue: end) == nil: "has an unknown end '\(end)'"
    default: nil
    }
  }

  // MARK: - Spools

  func readSpoolHeaders() {
    let owners = SpoolOwners(ofLog: path)
    for run in (try? FolderListing.names(RecorderLock.parent(ofLog: path))) ?? [] {
      guard owners.objection(log: path, run: run) == nil,
        let folder = RecorderLock.folder(log: path, run: run)
      else { continue }
      spoolHeaders[run] = SpoolHeader(folder + "/" + SpoolHeader.control)
    }
  }

  /// A log that was once longer is a copy without its write-ahead log, or its disk has lost writes.
  func checkCommits(_ runs: [RunInfo]) throws {
    let next = try connection.integer("SELECT value FROM meta WHERE name = 'next_seq'") ?? 1
    let last = max(try connection.integer("SELECT max(seq) FROM event") ?? 0, next - 1)
    let identity = UInt64(
      bitPattern: try connection.integer("SELECT value FROM meta WHERE name = 'log_id'") ?? 0)
    for (run, header) in spoolHeaders.sorted(by: { $0.key < $1.key }) {
      let missing = header.missing(from: identity, lastSeq: last)
      guard missing > 0 else { continue }
      list.add(
        .lostCommits, run: runs.first { $0.id == run }?.number, count: missing, subject: run,
        at: "seq \(last + 1)",
        "the recorder of run \(run) had written events into the log that are gone: was "
          + "\(WALPolicy.wal(of: path.lastPathComponent)) not copied with it? 'tasklog recover' takes from "
          + "the spool what is still there, and records the rest as missing")
    }
  }

  func checkSpools(_ runs: [RunInfo]) {
    let ends = Dictionary(runs.map { ($0.id, $0) }) { first, _ in first }
    let parent = RecorderLock.parent(ofLog: path)
    let names: [String]
    do {
      names = try FolderListing.names(parent)
    } catch {
      guard !error.isMissing else { return }
      return list.add(
        .strangeSpool, at: parent,
        "cannot be listed: \(error); whether it has events that the log lacks is unknown")
    }
    let owners = SpoolOwners(ofLog: path)
    for name in names {
      let folder = parent + "/" + name
      guard !RecorderLock.isHeld(log: path, run: name) else { continue }
      // A recorder of a queue has only a lock there.
      if let run = ends[name], partialRuns.contains(run.number) { continue }
      var status = stat()
      // A recorder that rotates leaves a link for a moment.
      let isLink = lstat(folder, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
      if !isLink, let objection = owners.objection(log: path, run: name) {
        list.add(
          .strangeSpool, run: ends[name]?.number, subject: name, at: folder,
          "is not recovered: \(objection)")
      } else if ends[name]?.isEndInLog ?? OrphanedFolder.isEmpty(folder) {
        list.add(
          .emptySpool, run: ends[name]?.number, subject: name, at: folder,
          "is left of a recorder that was killed, and holds nothing that is not in the log; the next "
            + "recorder, or 'tasklog recover', removes it")
      } else if let run = ends[name] {
        list.add(
          .undrainedSpool, run: run.number, at: folder,
          "its recorder is dead, its last events are not in the log; 'tasklog recover' adds them")
      } else {
        list.add(
          .strangeSpool, subject: name, at: folder,
          "is the spool of a run that is not in this log; it may belong to one that was moved away")
      }
    }
  }
}
