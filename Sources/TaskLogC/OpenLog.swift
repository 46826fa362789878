import CSupport
import EventLog
import LogFormat
import LogMaintenance
import Recording
import Synchronization
import TaskLogPlugin

/// A log set that is open for reading, with all its runs.
///
/// It has no connections: each query opens its own, so that queries may run on any threads.
final class OpenLog: Sendable {
  /// A file with some of the runs.
  struct Part: Sendable {
    var path: String
    var name: String
    /// The number of each run in this file, by its ID.
    var numbers: [String: Int64]
  }

  let parts: [Part]
  /// What the user should know, such as what was recovered.
  let warnings: [String]
  /// Keeps temporary files, which are removed with it.
  private let sets: Mutex<[LogSet]>

  /// - Parameter names: paths of logs, or templates.
  /// - Throws: `LogError`, `LogSetError`.
  init(_ names: [String]) throws {
    let messages = Mutex<[String]>([])
    var environment = LogSet.Environment()
    environment.prepare = { try Self.recover($0) { text in messages.withLock { $0.append(text) } } }
    environment.warn = { text in messages.withLock { $0.append(text) } }
    var sets: [LogSet] = []
    var kept: [LogSet] = []
    var paths: [String] = []
    for name in names {
      // Runs of a single file need no merge.
      guard LogTemplate.isTemplate(name) else {
        paths.append(name)
        continue
      }
      let files = Dictionary(grouping: LogTemplate.files(name), by: \.run)
      guard !files.isEmpty else { throw LogError.missing(path: name) }
      for (run, segments) in files.sorted(by: { $0.key < $1.key }) {
        if segments.count == 1 {
          paths.append(segments[0].path)
        } else {
          sets.append(
            try LogSet.resolve([name], runs: run, mode: .names, environment: environment))
        }
      }
    }
    if !paths.isEmpty {
      let logs = try LogSet.resolve(
        paths, runs: "all", mode: .groups, restoresOrder: false, environment: environment)
      let groups = try Self.groups(logs.parts)
      if groups.contains(where: { $0.count > 1 }) {
        for group in groups {
          sets.append(
            try LogSet.resolve(
              group.map(\.path), runs: "all", mode: group.count > 1 ? .one : .names,
              restoresOrder: false, environment: environment))
        }
        kept.append(logs)
      } else {
        sets.append(logs)
      }
    }
    var seen: Set<String> = []
    parts = try sets.flatMap(\.parts).map { part in
      let runs = try part.reader().runs().filter { seen.insert($0.id).inserted }
      return Part(
        path: part.path, name: part.name,
        numbers: Dictionary(uniqueKeysWithValues: runs.map { ($0.id, $0.number) }))
    }
    warnings = messages.withLock { $0 }
    self.sets = Mutex(kept + sets)
  }

  /// Groups files that have different parts of a run, as segments do that are named one by one. A copy
  /// of a run is no part of it.
  private static func groups(_ parts: [LogSet.Part]) throws -> [[LogSet.Part]] {
    var groups: [(parts: [LogSet.Part], runs: [RunInfo])] = []
    for part in parts {
      let runs = try part.reader().runs()
      let related = groups.indices.filter { index in
        groups[index].runs.contains { known in
          runs.contains {
            $0.id == known.id && ($0.firstSeq, $0.lastSeq) != (known.firstSeq, known.lastSeq)
          }
        }
      }
      guard let first = related.first else {
        groups.append(([part], runs))
        continue
      }
      for index in related.dropFirst().reversed() {
        let group = groups.remove(at: index)
        groups[first].parts += group.parts
        groups[first].runs += group.runs
      }
      groups[first].parts.append(part)
      groups[first].runs += runs
    }
    return groups.map(\.parts)
  }

  /// Recovers the events that dead recorders left in their spools, as every command does that reads.
  private static func recover(_ path: String, warn: (String) -> Void) throws {
    guard try !Recovery.orphans(log: path).isEmpty else { return }
    do {
      for run in try Recovery.recover(log: path) { warn(run.text) }
    } catch {
      warn("\(path): the last events of a run are still in its spool: \(error)")
    }
  }

  /// The parts with their runs, as JSON.
  ///
  /// - Throws: `LogError`.
  func described() throws -> String {
    let parts = try parts.map { part -> Value in
      let reader = try LogReader(path: part.path)
      let runs = try reader.runs().filter { part.numbers[$0.id] == $0.number }.map { run -> Value in
        let totals = try reader.totals(of: run)
        return .object([
          "number": .int(run.number), "id": .string(run.id), "engine": .string(run.engine),
          "engine_version": .string(run.engineVersion),
          "recorder_version": .string(run.recorderVersion), "mode": .string(run.mode),
          "started": .int(run.started),
          "ended": run.runningAsOf == nil ? run.ended.map { .int($0) } ?? .null : .null,
          "end": .string(run.apparentEnd.rawValue),
          "as_of": run.asOf.map { .int($0) } ?? .null, "events": .int(totals.events),
          "tasks": .int(totals.tasks), "workers": .int(totals.workers),
          "missing": .int(totals.missing),
        ])
      }
      return .object([
        "path": .string(part.path), "name": .string(part.name), "runs": .list(runs),
      ])
    }
    return JSONWriter.text(
      .object([
        "parts": .list(parts), "warnings": .list(warnings.map { .string($0) }),
      ]))
  }
}

/// The open logs of this process, by handle. The child of a fork has none of them.
final class OpenLogs: Sendable {
  private struct Table {
    var open: [Int64: OpenLog] = [:]
    var last: Int64 = 0
  }

  private let generation: UInt64
  private let table = Mutex(Table())

  private init(generation: UInt64) {
    self.generation = generation
  }

  /// Holds the address of the table, which is never freed.
  nonisolated(unsafe) private static let word: UnsafeMutablePointer<UInt64> = {
    let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    word.initialize(to: address(of: OpenLogs(generation: tl_generation())))
    return word
  }()

  private static func address(of logs: OpenLogs) -> UInt64 {
    UInt64(UInt(bitPattern: Unmanaged.passRetained(logs).toOpaque()))
  }

  /// The table of this process. A forked child, which has one thread, creates its own.
  static var current: OpenLogs {
    let seen = tl_load_acquire(word)
    // The word always holds the address of a retained table.
    if let pointer = UnsafeRawPointer(bitPattern: UInt(seen)) {
      let logs = Unmanaged<OpenLogs>.fromOpaque(pointer).takeUnretainedValue()
      if logs.generation == tl_generation() { return logs }
    }
    let fresh = OpenLogs(generation: tl_generation())
    tl_store_release(word, address(of: fresh))
    return fresh
  }

  func add(_ log: OpenLog) -> Int64 {
    table.withLock { table in
      table.last += 1
      table.open[table.last] = log
      return table.last
    }
  }

  subscript(handle: Int64) -> OpenLog? {
    table.withLock { $0.open[handle] }
  }

  func remove(_ handle: Int64) -> OpenLog? {
    table.withLock { $0.open.removeValue(forKey: handle) }
  }
}
