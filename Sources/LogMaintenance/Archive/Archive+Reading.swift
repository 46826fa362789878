import EventLog
import LogAnalysis
import LogFormat

extension Archive {
  /// Reads runs with all processors.
  ///
  /// - Parameters:
  ///   - body: called on several threads at once, with the place of each run in the indexes.
  ///   - take: called on this thread with the place of each run in the indexes.
  package func read<Part: Sendable>(
    _ indexes: [Int], environment: LogSet.Environment,
    _ body: @escaping @Sendable (Int, LogReader, RunInfo) throws -> Part,
    take: (Int, Result<Part, any Error>) -> Void
  ) {
    let chosen = indexes.map { runs[$0] }
    let chunks = Self.chunks(chosen)
    var merged: [Int] = []
    ParallelMap.forEach(chunks.count) { chunk -> [Result<Part?, any Error>] in
      let paths = chosen[chunks[chunk].lowerBound].paths
      guard paths.count == 1, let path = paths.first else { return [.success(nil)] }
      let reader = Result { try LogReader(path: path) }
      return chunks[chunk].map { place in
        Result {
          let reader = try reader.get()
          let info = try Self.run(chosen[place].entry.id, of: reader)
          return info.isUnordered ? nil : try body(place, reader, info)
        }
      }
    } take: { chunk, results in
      for (place, result) in zip(chunks[chunk], (try? results.get()) ?? []) {
        switch result {
        case .success(nil): merged.append(place)
        case .success(let part?): take(place, .success(part))
        case .failure(let error): take(place, .failure(error))
        }
      }
    }
    // What must be merged first is read one after the other: each may take much of the disk.
    for place in merged {
      take(
        place,
        Result {
          try read(indexes[place], environment: environment) { try body(place, $0, $1) }
        })
    }
  }

  /// The places of runs that are read with one reader: a log may have 100,000 runs of an event each.
  private static func chunks(_ runs: [Run]) -> [Range<Int>] {
    var chunks: [Range<Int>] = []
    var start = 0
    while start < runs.count {
      let paths = runs[start].paths
      let end = runs[start...].firstIndex { $0.paths != paths } ?? runs.count
      // Enough chunks to give each processor some.
      let length = paths.count == 1 ? max(1, min(16, (end - start) / 64)) : 1
      chunks += stride(from: start, to: end, by: length).map { $0..<min($0 + length, end) }
      start = end
    }
    return chunks
  }

  /// Reads a run, whose files are merged and whose events are put in order before.
  ///
  /// - Throws: `LogError`, `LogSetError`, and what the body throws.
  package func read<Part>(
    _ index: Int, environment: LogSet.Environment, _ body: (LogReader, RunInfo) throws -> Part
  ) throws -> Part {
    let run = runs[index]
    var environment = environment
    // Of many runs each is read once, and would displace what other commands need.
    environment.keepsJoined = false
    let logs = try LogSet.resolve(
      run.paths, runs: run.entry.id, mode: .one, environment: environment)
    defer { logs.remove() }
    let reader = try logs.reader()
    return try body(reader, try Self.run(run.entry.id, of: reader))
  }

  private static func run(_ id: String, of reader: LogReader) throws -> RunInfo {
    guard let info = try reader.run(id: id) else {
      throw LogError.damaged(path: reader.path, reason: "it has no run \(id) any more")
    }
    return info
  }

  /// The figures of runs or of jobs in them, in their order: those that a catalogue knows, and the others
  /// read from the logs; `nil` for a run that cannot be read.
  ///
  /// - Parameter progress: called with the number of items so far.
  package func figures(
    _ items: [Item], environment: LogSet.Environment, progress: (Int) -> Void = { _ in }
  ) -> (figures: [RunFigures?], unreadable: [Unreadable]) {
    computed(
      items.map { ($0.index, $0.job.map { "figures \($0.kind) \($0.name)" } ?? "figures") },
      environment: environment, progress: progress, decode: { RunFigures($0) },
      encode: \.value,
      read: { place, reader, run in try reader.figures(of: run, job: items[place].job) })
  }

  /// Finds out which named jobs, clients and spans runs have; what cannot be read is reported.
  package mutating func findJobs(environment: LogSet.Environment) {
    let (found, unreadable) = computed(
      runs.indices.map { ($0, "jobs") }, environment: environment, progress: { _ in },
      decode: { Job.list($0) }, encode: { .list($0.map(\.value)) },
      read: { _, reader, run in try reader.jobs(of: run) })
    for (index, jobs) in found.enumerated() { set(jobs ?? [], ofRun: index) }
    for log in unreadable { environment.omit(log) }
  }

  /// Something of runs, in their order: what a catalogue knows, and the rest read from the logs; `nil` for
  /// a run that cannot be read.
  ///
  /// - Parameters:
  ///   - wanted: the indexes of the runs, each with the name of a result.
  ///   - read: called on several threads at once with an index in `wanted`.
  private func computed<Result: Sendable>(
    _ wanted: [(index: Int, name: String)], environment: LogSet.Environment,
    progress: (Int) -> Void, decode: (Value) -> Result?, encode: (Result) -> Value,
    read body: @escaping @Sendable (Int, LogReader, RunInfo) throws -> Result
  ) -> ([Result?], [Unreadable]) {
    let catalogue = Catalogue()
    let chosen = wanted.map { runs[$0.index] }
    let stamps = chosen.map(Self.stamp)
    var found: [Result?] = wanted.indices.map { place in
      stamps[place].flatMap {
        catalogue?.value(wanted[place].name, of: chosen[place].entry.id, $0).flatMap(decode)
      }
    }
    let unknown = Dictionary(grouping: found.indices.filter { found[$0] == nil }) {
      wanted[$0].index
    }
    let indexes = unknown.keys.sorted()
    var known = found.count - unknown.values.reduce(0) { $0 + $1.count }
    var unreadable: [Unreadable] = []
    // A run whose files are merged is merged once, whatever is wanted of it.
    read(indexes, environment: environment) { index, reader, run in
      try (unknown[indexes[index]] ?? []).map { ($0, try body($0, reader, run)) }
    } take: {
      let run = runs[indexes[$0]]
      switch $1 {
      case .success(let results):
        for (place, result) in results {
          found[place] = result
          // What was read may be newer than the stamp.
          if let stamp = stamps[place], run.entry.end != .running,
            stamp == Self.stamp(of: run)
          {
            catalogue?.add(encode(result), wanted[place].name, of: run.entry.id, stamp)
          }
        }
      case .failure(let error):
        unreadable.append(Unreadable(path: run.paths[0], reason: "\(error)"))
      }
      known += unknown[indexes[$0]]?.count ?? 0
      progress(known)
    }
    catalogue?.save()
    return (found, unreadable)
  }

  /// That of all files of a run; `nil` if any is missing or has just changed.
  private static func stamp(of run: Run) -> String? {
    let stamps = run.paths.map { LogStamp($0) }
    guard stamps.allSatisfy({ $0?.isOld == true }) else { return nil }
    return stamps.compactMap { $0?.text }.joined(separator: ", ")
  }
}
