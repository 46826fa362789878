import Glibc
import LogFormat
import TaskLogPlugin

/// A worker whose last events may be missing: nothing in the log says that its events are complete.
package struct IncompleteWorker: Sendable {
  /// The location of its spool, which may hold them.
  package enum Spool: String, Sendable {
    /// On this host.
    case here
    /// It would be on this host, but no longer exists.
    case gone
    /// On another host, if it still exists.
    case elsewhere
    /// The log does not say.
    case unknown
  }

  /// The row ID of the run in its log.
  package var run: Int64
  package var address: String
  /// The engine's id of it; `nil` if the log does not say.
  package var serverID: String?
  package var host: String?
  package var folder: String?
  package var spool: Spool
  /// The number of task ends that the scheduler recorded for it and its own events lack; `nil` if the
  /// format of the log does not have them.
  package var missingEnds: Int64?
}

extension LogReader {
  /// The workers of a run whose last events may be missing. Empty for a run that is still running,
  /// or of which other logs have the rest.
  ///
  /// - Throws: `LogError`.
  package func incompleteWorkers(of run: RunInfo) throws -> [IncompleteWorker] {
    try [RunSegment(reader: self, run: run)].incompleteWorkers()
  }
}

/// What the log says about the events of one worker.
private struct WorkerEvents {
  var serverID: String
  var address: String
  var extent = SourceExtent()
  var ended: Int64 = 0
  var host: String?
  var folder: String?
  /// Whether it reported the location of its spool.
  var hasPlace = false
}

extension [RunSegment] {
  /// The workers of a run whose last events may be missing, in the order in which they joined.
  ///
  /// - Throws: `LogError`.
  package func incompleteWorkers() throws -> [IncompleteWorker] {
    // Workers of our own engine are in the recorder's process and need no spool.
    guard let whole, let last = last?.run, whole.end != .running, !whole.isPartial,
      last.nextFile == nil, whole.metadata[RunMetadataKey.workers]?.bool == true
    else { return [] }
    let stays = try stays()
    let workers = try workers(isCounted: !stays.isEmpty)
    let matches = Self.matches(stays, workers)
    var incomplete: [IncompleteWorker] = []
    for (place, worker) in workers.enumerated() where !worker.extent.isComplete {
      let ended = matches.stayOfWorker[place].map { stays[$0].ended } ?? 0
      incomplete.append(
        Self.incomplete(worker, whole, stays.isEmpty ? nil : Swift.max(0, ended - worker.ended)))
    }
    for place in matches.alone {
      var worker = WorkerEvents(
        serverID: stays[place].serverID ?? "", address: stays[place].address)
      worker.host = stays[place].host
      worker.folder = whole.metadata[RunMetadataKey.workerSpool]?.string
      let found = Self.incomplete(worker, whole, stays[place].ended)
      // A worker that joined and left at once has recorded nothing.
      if stays[place].ended > 0 || found.spool == .here { incomplete.append(found) }
    }
    return incomplete
  }

  private func workers(isCounted: Bool) throws -> [WorkerEvents] {
    var workers: [WorkerEvents] = []
    var places: [String: Int] = [:]
    for part in self {
      let ended = try part.reader.endedAtSources(of: part.run)
      for info in try part.reader.sources(of: part.run) where info.source.kind == .worker {
        let place = places[info.source.id] ?? workers.count
        if place == workers.count {
          places[info.source.id] = place
          workers.append(.init(serverID: info.source.id, address: info.source.address))
        }
        let extent = try part.reader.extent(of: info, isCounted: isCounted)
        if extent.last >= workers[place].extent.last { workers[place].extent = extent }
        workers[place].ended += ended[info.number] ?? 0
        if !workers[place].hasPlace, let found = try part.reader.spoolPlace(of: info) {
          (workers[place].host, workers[place].folder) = found
          workers[place].hasPlace = true
        }
      }
    }
    return workers
  }

  /// Matches stays to workers: by worker id or, if the log does not have it, by their order at an
  /// address; and lists the stays of workers without events.
  private static func matches(
    _ stays: [WorkerPresence], _ workers: [WorkerEvents]
  ) -> (stayOfWorker: [Int: Int], alone: [Int]) {
    let places = Dictionary(
      workers.enumerated().map { ($1.serverID, $0) }, uniquingKeysWith: { first, _ in first })
    var stayOfWorker: [Int: Int] = [:]
    var rest: [Int] = []
    for (place, stay) in stays.enumerated() {
      if let worker = stay.serverID.flatMap({ places[$0] }) {
        stayOfWorker[worker] = place
      } else {
        rest.append(place)
      }
    }
    var alone: [Int] = []
    for place in rest {
      let worker = workers.indices.first {
        stayOfWorker[$0] == nil && workers[$0].address == stays[place].address
      }
      if stays[place].serverID == nil, let worker {
        stayOfWorker[worker] = place
      } else {
        alone.append(place)
      }
    }
    return (stayOfWorker, alone)
  }

  private static func incomplete(
    _ worker: WorkerEvents, _ run: RunInfo, _ missingEnds: Int64?
  ) -> IncompleteWorker {
    var found = IncompleteWorker(
      run: run.number, address: worker.address,
      serverID: worker.serverID.isEmpty ? nil : worker.serverID, host: worker.host,
      folder: worker.folder, spool: .unknown, missingEnds: missingEnds)
    for folder in [worker.folder, SpoolLocation.defaultFolder].compactMap(\.self)
    where SpoolLocation.hasSpool(of: worker.serverID, run: run.id, in: folder) {
      (found.folder, found.spool) = (folder, .here)
      return found
    }
    if let host = worker.host {
      // The scheduler knows addresses, but a worker only its host's name.
      found.spool = worker.hasPlace && host == SpoolLocation.hostName ? .gone : .elsewhere
    }
    return found
  }
}

/// The locations of workers' spools.
enum SpoolLocation {
  static let hostName: String = {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// The default folder of a worker's spool on this host: `default_folder` of the Python package.
  static var defaultFolder: String {
    let temporary = ["TMPDIR", "TEMP", "TMP"].compactMap { (name: String) -> String? in
      getenv(name).map { String(cString: $0) }
    }.first { !$0.isEmpty && access($0, W_OK) == 0 }
    return (temporary ?? "/tmp") + "/tasklog-\(getuid())"
  }

  /// Whether a worker has left files of a run on this host.
  static func hasSpool(of serverID: String, run: String, in folder: String) -> Bool {
    guard !serverID.isEmpty, UntrustedName.isRunID(run),
      let names = try? FolderListing.names(folder + "/" + run)
    else { return false }
    return names.contains { $0.hasPrefix(serverID + ".") && !$0.hasSuffix(".new") }
  }
}

extension LogReader {
  /// The host and folder of a worker's spool, as the worker reported at setup; the folder is `nil`
  /// if it found no disk.
  fileprivate func spoolPlace(of info: SourceInfo) throws -> (host: String, folder: String?)? {
    try translating {
      let select = try connection.prepare(
        """
        SELECT args ->> '$.hostname', args ->> '$.spool' FROM event
        WHERE source = ? AND source_seq = 1 AND json_valid(args)
        """)
      try select.bind(1, info.number)
      guard try select.step(), let host = select.optionalText(0) else { return nil }
      return (host, select.optionalText(1))
    }
  }
}
