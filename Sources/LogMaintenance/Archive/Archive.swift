import EventLog
import LogAnalysis
import LogFormat

/// The runs of many logs, the oldest first, without having opened those that a catalogue knows.
package struct Archive {
  /// A run with the files that have its segments or parts, in the order of recording.
  package struct Run: Sendable {
    package var entry: RunEntry
    package var paths: [String]
  }

  /// A run, or a job in it.
  package struct Item: Sendable, Hashable {
    /// The index of the run.
    package var index: Int
    /// `nil` for all of the run.
    package var job: Job?

    package init(index: Int, job: Job? = nil) { (self.index, self.job) = (index, job) }

    /// Whether both are the same run, or the same job of it.
    package static func == (one: Item, other: Item) -> Bool {
      one.index == other.index && one.job?.kind == other.job?.kind
        && one.job?.name == other.job?.name
    }

    package func hash(into hasher: inout Hasher) {
      hasher.combine(index)
      hasher.combine(job?.kind)
      hasher.combine(job?.name)
    }
  }

  /// A file that cannot be read.
  package struct Unreadable: Sendable {
    package var path: String
    package var reason: String

    package init(path: String, reason: String) {
      (self.path, self.reason) = (path, reason)
    }
  }

  package private(set) var runs: [Run] = []
  package private(set) var unreadable: [Unreadable] = []

  /// - Parameters:
  ///   - names: folders, patterns, templates, and paths of logs.
  ///   - prepare: called with each log that the catalogue does not know, before it is read.
  /// - Throws: see `ArchiveFiles.logs`.
  package init(_ names: [String], prepare: (String) throws -> Void) throws {
    try read(try ArchiveFiles.logs(of: names), Catalogue(), prepare)
  }

  mutating func set(_ jobs: [Job], ofRun index: Int) { runs[index].entry.jobs = jobs }

  private mutating func read(
    _ paths: [String], _ catalogue: Catalogue?, _ prepare: (String) throws -> Void
  ) throws {
    var found: [[RunEntry]?] = []
    var stamps: [LogStamp?] = []
    for path in paths {
      let entries = LogStamp(path).flatMap { catalogue?.entries($0) }
      // What cannot be read is reported below.
      if entries == nil { try? prepare(path) }
      found.append(entries)
      stamps.append(entries == nil ? LogStamp(path) : nil)
    }
    let unknown = paths.indices.filter { found[$0] == nil }
    let unknownPaths = unknown.map { paths[$0] }
    ParallelMap.forEach(unknown.count) {
      try Self.entries(unknownPaths[$0])
    } take: { place, result in
      let index = unknown[place]
      switch result {
      case .success(let entries):
        found[index] = entries
        // What was read may be newer than the stamp.
        if let stamp = stamps[index], stamp == LogStamp(paths[index]), stamp.isOld,
          entries.allSatisfy(\.isFinal)
        {
          catalogue?.add(entries, stamp)
        }
      case .failure(let error):
        unreadable.append(Unreadable(path: paths[index], reason: "\(error)"))
      }
    }
    catalogue?.save()
    try join(paths, found)
  }

  private static func entries(_ path: String) throws -> [RunEntry] {
    let reader = try LogReader(path: path)
    var origins = RunOrigins()
    return try reader.runs().compactMap {
      try RunEntry([RunSegment(reader: reader, run: $0)], &origins)
    }
  }

  /// Puts the segments of each run together, the oldest run first. Of several copies of a run the most
  /// complete one counts.
  private mutating func join(_ paths: [String], _ found: [[RunEntry]?]) throws {
    var places: [String: Int] = [:]
    for (path, entries) in zip(paths, found) {
      for entry in entries ?? [] {
        let run = Run(entry: entry, paths: [path])
        guard let place = places[entry.id] else {
          places[entry.id] = runs.count
          runs.append(run)
          continue
        }
        let known = runs[place].entry
        if known.isPart, entry.isPart {
          runs[place].paths.append(path)
        } else if known.isPart || !entry.isPart && entry.isMoreComplete(than: known) {
          runs[place] = run
        }
      }
    }
    for place in runs.indices where runs[place].paths.count > 1 { try joinSegments(place) }
    runs.sort { ($0.entry.started, $0.entry.id) < ($1.entry.started, $1.entry.id) }
  }

  /// Puts the files of a run in the order of recording, without copies of segments, and counts what they
  /// have of it, each task once.
  private mutating func joinSegments(_ place: Int) throws {
    let id = runs[place].entry.id
    do {
      let segments = try runs[place].paths.compactMap { path in
        let reader = try LogReader(path: path)
        return try reader.runs().first { $0.id == id }.map { RunSegment(reader: reader, run: $0) }
      }.inOrder
      runs[place].paths = segments.map(\.reader.path)
      var origins = RunOrigins()
      if let whole = try RunEntry(segments, &origins) { runs[place].entry = whole }
    } catch let error as LogError {
      unreadable.append(Unreadable(path: runs[place].paths[0], reason: "\(error)"))
    }
  }
}

extension [RunSegment] {
  /// The segments of a rotated run number their events consecutively, whatever the names of their files.
  fileprivate var inOrder: [RunSegment] {
    let sorted = sorted {
      ($0.run.firstSeq ?? .max, $0.reader.path) < ($1.run.firstSeq ?? .max, $1.reader.path)
    }
    return sorted.reduce(into: []) { segments, segment in
      let isCopy = segments.contains {
        !segment.run.isPartial && !$0.run.isPartial && segment.run.firstSeq != nil
          && $0.run.firstSeq == segment.run.firstSeq && $0.run.lastSeq == segment.run.lastSeq
      }
      if !isCopy { segments.append(segment) }
    }
  }
}

extension RunEntry {
  /// Of a run in two files, none of which is a segment.
  fileprivate func isMoreComplete(than other: RunEntry) -> Bool {
    (end == .died ? 0 : 1, events) > (other.end == .died ? 0 : 1, other.events)
  }
}
