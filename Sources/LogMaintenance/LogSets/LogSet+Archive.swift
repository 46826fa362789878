import EventLog
import LogFormat

/// Runs of many logs: of folders, of patterns, and those that an expression selects.
extension LogSet {
  /// The selected runs, the oldest first.
  ///
  /// - Throws: `LogError`, `LogSetError`.
  func chosen(
    _ names: [String], _ selector: String, _ choose: RunChoice?
  ) throws -> [Archive.Run] {
    var archive = try Archive(names, prepare: environment.prepare)
    for log in archive.unreadable { environment.omit(log) }
    let indexes: [Int]
    if let choose {
      if choose.needsJobs { archive.findJobs(environment: environment) }
      let items = choose.select(archive.runs.map(\.entry))
      for item in items {
        if let job = item.job { jobs[archive.runs[item.index].entry.id, default: []].append(job) }
      }
      indexes = Set(items.map(\.index)).sorted()
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
    var groups: [[String]] = []
    var groupOfFile: [String: Int] = [:]
    for run in runs {
      for path in run.paths { ids[path, default: []].insert(run.entry.id) }
      // Other runs may be in these files, too.
      let known = Set(run.paths.compactMap { groupOfFile[$0] }).sorted()
      let fresh = run.paths.filter { groupOfFile[$0] == nil }
      groups.append(known.flatMap { groups[$0] } + fresh)
      for group in known { groups[group] = [] }
      for path in groups[groups.count - 1] { groupOfFile[path] = groups.count - 1 }
    }
    for group in groups where !group.isEmpty {
      let selected = group.reduce(into: Set<String>()) { $0.formUnion(ids[$1] ?? []) }
      if group.count > 1, mode != .files, try Self.areSegments(group) {
        let name = group.joined(separator: " + ")
        let path = try joined(group, of: name, follows: false)
        var part = Part(path: path, name: name, selector: RunSelector.all.text)
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

  private static func areSegments(_ files: [String]) throws -> Bool {
    try files.contains { path in
      try LogReader(path: path).runs().contains { $0.previousFile != nil || $0.nextFile != nil }
    }
  }
}
