import EventLog
import LogFormat

/// Runs of many logs: of folders, of patterns, and those that an expression selects.
extension LogSet {
  /// The selected runs, the oldest first.
  ///
  /// - Throws: `LogError`, `LogSetError`.
  func chosen(
    _ names: [String], _ selector: String, _ choose: (([RunEntry]) -> [Int])?
  ) throws -> [Archive.Run] {
    let archive = try Archive(names, cache: environment.cache, prepare: environment.prepare)
    for log in archive.unreadable { environment.omit(log.path, log.reason) }
    let indexes: [Int]
    if let choose {
      indexes = choose(archive.runs.map(\.entry))
    } else if archive.runs.isEmpty {
      indexes = []
    } else {
      indexes = try RunSelector(selector).select(
        from: Array(archive.runs.indices), ofLog: names.joined(separator: ", "),
        id: { archive.runs[$0].entry.id }, number: { Int64($0 + 1) })
    }
    guard !indexes.isEmpty else {
      throw LogSetError.noRuns(names: names, isSelected: choose != nil)
    }
    return indexes.map { archive.runs[$0] }
  }

  /// Adds the files of runs: those of a rotated run merged, all others as they are.
  func add(_ runs: [Archive.Run], _ mode: Mode) throws {
    var ids: [String: Set<String>] = [:]
    var files: [[String]] = []
    for run in runs {
      for path in run.paths { ids[path, default: []].insert(run.entry.id) }
      // Another run may be in one of these files, too.
      let isShared: ([String]) -> Bool = { !Set($0).isDisjoint(with: run.paths) }
      var group = files.filter(isShared).joined().map(\.self)
      group += run.paths.filter { !group.contains($0) }
      files = files.filter { !isShared($0) } + [group]
    }
    for group in files {
      let readers = try group.map { try LogReader(path: $0) }
      let isRotated = try readers.contains { reader in
        try reader.runs().contains { $0.previousFile != nil || $0.nextFile != nil }
      }
      let selected = group.reduce(into: Set<String>()) { $0.formUnion(ids[$1] ?? []) }
      if group.count > 1, isRotated, mode != .files {
        let name = group.joined(separator: " + ")
        let merged = try RotatedRunFiles(name, group, follows: false, environment)
        rotated.append(merged)
        var part = Part(path: merged.path, name: name, selector: RunSelector.all.text)
        (part.segments, part.selected) = (group, selected)
        named.append(part)
      } else {
        for path in group {
          var part = Part(path: path, selector: RunSelector.all.text)
          part.selected = ids[path] ?? []
          named.append(part)
        }
      }
    }
    parts = named
  }
}
