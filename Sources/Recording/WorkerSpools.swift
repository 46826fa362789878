import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Why the spool of a worker cannot be imported into a log.
package enum WorkerSpoolError: Error, Sendable, CustomStringConvertible {
  case cannotRead(path: String, reason: String)
  case noSpool(path: String)
  case isInUse(path: String)
  /// `home` is the log that the run was recorded into, if the spool says so.
  case unknownRun(path: String, run: String, log: String, home: String?)
  case runIsAlive(path: String, run: String)

  package var description: String {
    switch self {
    case .cannotRead(let path, let reason): "\(path): \(reason)"
    case .noSpool(let path): "\(path): not a worker spool"
    case .isInUse(let path): "\(path): in use; its worker is alive and sends the events itself"
    case .unknownRun(let path, let run, let log, let home):
      "\(path): run \(run) is not in \(log); "
        + (home.map { "it was recorded into \($0)" } ?? "choose another log with '--log'")
    case .runIsAlive(let path, let run):
      "\(path): run \(run) is still being recorded; the next worker on its host "
        + "sends these events, or repeat this command when the run is over"
    }
  }
}

/// Imports the spools of Dask workers whose hosts never came back: files that were copied from
/// there.
///
/// A file is `RUN-ID/SOURCE-ID.N`: "tlworker", then records in the format of `SourceRecord`, of
/// which the first is a map that identifies the worker. Events carry their source_seq, and those
/// that are in the log already are skipped, so importing a file twice does no harm.
package enum WorkerSpools {
  /// The result of importing the files of one worker.
  package struct Imported: Sendable {
    package var run: String
    package var worker: String
    package var events: Int64
    /// The number of events that are neither in these files nor in the log.
    package var missing: Int64
    /// The number of records that cannot be decoded.
    package var unreadable: Int
  }

  /// Files that were not imported, and why; files of one run that belong elsewhere are reported
  /// once.
  package struct Skipped: Sendable {
    package var files: Int
    package var reason: WorkerSpoolError
  }

  /// Imports files, and all files below folders, whose runs are in the log; the others are skipped.
  ///
  /// - Parameter log: returns the log of a run, given the run's id.
  /// - Throws: `LogError`.
  package static func importFiles(
    _ paths: [String], log: (String) -> String
  ) throws -> (imported: [Imported], left: [Skipped]) {
    var left: [Skipped] = []
    var groups = OrderedMap<String, [WorkerSpoolFile]>()
    for path in paths.flatMap({ find($0, &left) }) {
      do {
        let file = try WorkerSpoolFile(path)
        groups[file.source] = (groups[file.source] ?? []) + [file]
      } catch let error as WorkerSpoolError {
        left.append(Skipped(files: 1, reason: error))
      }
    }
    // Fails if the log cannot be written.
    if groups.isEmpty { try LogWriter(path: log("")).close() }
    var imported: [Imported] = []
    for files in groups.values {
      let files = files.sorted { $0.number < $1.number }
      let path = log(files[0].run)
      let writer = try LogWriter(path: path)
      defer { writer.close() }
      do {
        // First what the scheduler's spool holds of these workers.
        _ = try Recovery.recover(writer)
        imported.append(
          try put(files, writer, isComplete: !files.contains { $0.hasNext(in: files) }))
      } catch let error as WorkerSpoolError {
        add(files.count, error, to: &left)
      } catch let error as SQLiteError {
        throw LogError.cannotWrite(path: path, reason: error.message)
      }
    }
    return (imported, left)
  }

  private static func find(_ path: String, _ left: inout [Skipped]) -> [String] {
    do {
      return try WorkerSpoolFile.find(path)
    } catch {
      if let error = error as? WorkerSpoolError { left.append(Skipped(files: 1, reason: error)) }
      return []
    }
  }

  /// Merges entries with the same reason: the files of all workers of a run are in one folder.
  private static func add(_ count: Int, _ reason: WorkerSpoolError, to left: inout [Skipped]) {
    let index = left.firstIndex { skipped in
      switch (skipped.reason, reason) {
      case (.unknownRun(_, let a, _, _), .unknownRun(_, let b, _, _)): a == b
      case (.runIsAlive(_, let a), .runIsAlive(_, let b)): a == b
      default: false
      }
    }
    if let index {
      left[index].files += count
    } else {
      left.append(Skipped(files: count, reason: reason))
    }
  }

  private static func names(_ folder: String) throws -> [String] {
    do {
      return try FolderListing.names(folder)
    } catch {
      if error.isMissing { return [] }
      throw LogError.unreadable(path: folder, reason: error.description)
    }
  }

  /// Imports what workers on this host left, of runs that are over and in the log, and removes
  /// those files; for the next recorder on this host.
  ///
  ///
  /// - Throws: `LogError`.
  static func importOrphanedSpools(_ folder: String, log: (String) -> String?) throws {
    for run in try names(folder) {
      let path = folder + "/" + run
      guard let log = log(run) else { continue }
      var left: [Skipped] = []
      var groups = OrderedMap<String, [WorkerSpoolFile]>()
      for file in find(path, &left).compactMap({ try? WorkerSpoolFile($0, removesFile: true) }) {
        groups[file.source] = (groups[file.source] ?? []) + [file]
      }
      for files in groups.values where !files.isEmpty {
        let files = files.sorted { $0.number < $1.number }
        // A live worker holds the lock of one of its files, and sends the others itself.
        guard !files.contains(where: { $0.hasNext(in: files) }) else { continue }
        let writer = try LogWriter(path: log)
        defer { writer.close(isIndexing: false) }
        do {
          _ = try put(files, writer, isComplete: true)
          for file in files { unlink(file.path) }
        } catch is WorkerSpoolError {
          continue
        } catch let error as SQLiteError {
          throw LogError.cannotWrite(path: log, reason: error.message)
        }
      }
      groups = OrderedMap()
      // Fails unless the folder is empty.
      rmdir(path)
    }
  }

  /// Adds records of a worker of an earlier run to the log, as the next worker on its host found
  /// them.
  ///
  /// - Returns: whether they are in the log, which requires that it has the run and the run is
  ///   over.
  /// - Throws: `LogError`.
  static func put(
    records: UnsafeRawBufferPointer, of source: Source, run: String, log: String
  ) throws -> Bool {
    let writer = try LogWriter(path: log)
    defer { writer.close(isIndexing: false) }
    do {
      _ = try Recovery.recover(writer)
      guard let openRun = try writer.run(id: run), !RecorderLock.isHeld(log: log, run: run) else {
        return false
      }
      var imported = Imported(
        run: run, worker: source.address, events: 0, missing: 0, unreadable: 0)
      try writer.transaction(synced: true) {
        var progress = try progress(of: source, run: openRun.number, writer)
        var reader = SourceRecordReader(records, checksCRC: true)
        try put(&reader, &progress, &imported, writer)
      }
      return true
    } catch let error as SQLiteError {
      throw LogError.cannotWrite(path: log, reason: error.message)
    }
  }

  /// - Parameter isComplete: whether these are all files that the worker left.
  private static func put(
    _ files: [WorkerSpoolFile], _ writer: LogWriter, isComplete: Bool
  ) throws -> Imported {
    let first = files[0]
    guard let run = try writer.run(id: first.run) else {
      throw WorkerSpoolError.unknownRun(
        path: files.count == 1 ? first.path : first.path.parentFolder, run: first.run,
        log: writer.path,
        home: first.home)
    }
    guard !RecorderLock.isHeld(log: writer.path, run: first.run) else {
      throw WorkerSpoolError.runIsAlive(path: first.path, run: first.run)
    }
    var imported = Imported(
      run: first.run, worker: first.address, events: 0, missing: 0, unreadable: 0)
    try writer.transaction(synced: true) {
      let source = Source(kind: .worker, id: first.id, address: first.address, name: first.name)
      var progress = try progress(of: source, run: run.number, writer)
      for file in files {
        try file.withRecords { try put(&$0, &progress, &imported, writer) }
      }
      if isComplete {
        try writer.markComplete(source: progress.id, through: progress.lastSourceSeq)
      }
    }
    return imported
  }

  private static func progress(
    of source: Source, run: Int64, _ writer: LogWriter
  ) throws -> LogWriter.SourceProgress {
    if let known = try writer.source(ofRun: run, serverID: source.id) { return known }
    return .init(id: try writer.add(source, run: run), lastSourceSeq: 0)
  }

  private static func put(
    _ reader: inout SourceRecordReader, _ source: inout LogWriter.SourceProgress,
    _ imported: inout Imported, _ writer: LogWriter
  ) throws {
    while let record = reader.next() {
      switch record {
      case .event(let sourceSeq, let fields):
        guard sourceSeq > source.lastSourceSeq else { continue }
        do {
          let event = try EncodedEvent(fields: fields)
          let before = sourceSeq - source.lastSourceSeq - 1
          try recordMissing(before, "lost on the way", event.time, &source, &imported, writer)
          try writer.append(event, source: source.id, sourceSeq: sourceSeq)
          source.lastSourceSeq = sourceSeq
          imported.events += 1
        } catch is MessagePackError {
          imported.unreadable += 1
        }
      case .gap(let sourceSeq, let count, let time, let reason):
        let end = sourceSeq + min(max(0, count), 1 << 48) - 1
        guard end > source.lastSourceSeq else { continue }
        try recordMissing(end - source.lastSourceSeq, reason, time, &source, &imported, writer)
      }
    }
    imported.unreadable += reader.unreadableCount
  }

  private static func recordMissing(
    _ count: Int64, _ reason: String, _ time: Int64, _ source: inout LogWriter.SourceProgress,
    _ imported: inout Imported, _ writer: LogWriter
  ) throws {
    guard count > 0 else { return }
    try writer.addGap(
      source: source.id, sourceSeq: source.lastSourceSeq + 1, count: count, time: time,
      reason: reason)
    source.lastSourceSeq += count
    imported.missing += count
  }
}
