import EventLog
import LogAnalysis
import LogFormat

extension Archive {
  /// Reads runs with all processors.
  ///
  /// - Parameters:
  ///   - body: called on several threads at once.
  ///   - take: called on this thread with the place of each run in the indexes.
  package func read<Part: Sendable>(
    _ indexes: [Int], environment: LogSet.Environment,
    _ body: @escaping @Sendable (LogReader, RunInfo) throws -> Part,
    take: (Int, Result<Part, any Error>) -> Void
  ) {
    let chosen = indexes.map { runs[$0] }
    var merged: [Int] = []
    ParallelMap.forEach(chosen.count) { place -> Part? in
      let run = chosen[place]
      guard run.paths.count == 1, let path = run.paths.first else { return nil }
      let reader = try LogReader(path: path)
      let info = try Self.run(run.entry.id, of: reader)
      return info.isUnordered ? nil : try body(reader, info)
    } take: { place, result in
      switch result {
      case .success(nil): merged.append(place)
      case .success(let part?): take(place, .success(part))
      case .failure(let error): take(place, .failure(error))
      }
    }
    // What must be merged first is read one after the other: each may take much of the disk.
    for place in merged {
      take(place, Result { try read(indexes[place], environment: environment, body) })
    }
  }

  /// Reads a run, whose files are merged and whose events are put in order before.
  ///
  /// - Throws: `LogError`, `LogSetError`, and what the body throws.
  package func read<Part>(
    _ index: Int, environment: LogSet.Environment, _ body: (LogReader, RunInfo) throws -> Part
  ) throws -> Part {
    let run = runs[index]
    let logs = try LogSet.resolve(
      run.paths, runs: run.entry.id, mode: .one, environment: environment)
    defer { logs.remove() }
    let reader = try logs.reader()
    return try body(reader, try Self.run(run.entry.id, of: reader))
  }

  private static func run(_ id: String, of reader: LogReader) throws -> RunInfo {
    guard let info = try reader.runs().first(where: { $0.id == id }) else {
      throw LogError.damaged(path: reader.path, reason: "it has no run \(id) any more")
    }
    return info
  }

  /// The figures of runs, in their order: those that a catalogue knows, and the others read from the logs;
  /// `nil` for a run that cannot be read.
  ///
  /// - Parameter progress: called with the number of runs so far.
  package func figures(
    _ indexes: [Int], environment: LogSet.Environment, progress: (Int) -> Void = { _ in }
  ) -> (figures: [RunFigures?], unreadable: [Unreadable]) {
    let catalogue = Catalogue()
    let chosen = indexes.map { runs[$0] }
    let stamps = chosen.map(Self.stamp)
    var found: [RunFigures?] = zip(chosen, stamps).map { run, stamp in
      stamp.flatMap { catalogue?.figures(of: run.entry.id, $0) }
    }
    let unknown = found.indices.filter { found[$0] == nil }
    var known = found.count - unknown.count
    var unreadable: [Unreadable] = []
    let wanted = unknown.map { indexes[$0] }
    read(wanted, environment: environment) {
      try $0.figures(of: $1)
    } take: {
      let index = unknown[$0]
      let run = chosen[index]
      switch $1 {
      case .success(let figures):
        found[index] = figures
        // What was read may be newer than the stamp.
        if let stamp = stamps[index], run.entry.end != .running,
          stamp == Self.stamp(of: run)
        {
          catalogue?.add(figures, of: run.entry.id, stamp)
        }
      case .failure(let error):
        unreadable.append(Unreadable(path: run.paths[0], reason: "\(error)"))
      }
      known += 1
      progress(known)
    }
    catalogue?.save()
    return (found, unreadable)
  }

  /// That of all files of a run; `nil` if any is missing or has just changed.
  private static func stamp(of run: Run) -> String? {
    let stamps = run.paths.map { Catalogue.Stamp($0) }
    guard stamps.allSatisfy({ $0?.isOld == true }) else { return nil }
    return stamps.compactMap { $0?.text }.joined(separator: ", ")
  }
}
