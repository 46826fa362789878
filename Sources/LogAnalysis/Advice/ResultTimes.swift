import EventLog
import LogFormat
import TaskLogPlugin

/// When results came into memory and left it, and when tasks ended: for what uses a result last, and between
/// which prefixes bytes moved.
struct ResultTimes {
  struct Result {
    var since: Int64
    var until = Int64.max
    var bytes: Int64
  }

  /// By key: the last result of each task, without small ones.
  private(set) var results: [Int64: Result] = [:]
  /// By key: when it came to its last end, and the address of its worker.
  private var ended = IntegersByKey<Int64>()
  private var workers = IntegersByKey<Int64>()
  private static let leastBytes: Int64 = 100_000

  /// - Parameter bytes: the size of the result, if it has one.
  mutating func move(_ row: EventRow, bytes: Int64?, _ texts: KnownTexts) {
    if row.start == texts.processing, row.finish == texts.memory || row.finish == texts.erred {
      ended[row.key] = row.time
      workers[row.key] = row.worker
      if row.finish == texts.memory, let bytes, bytes >= Self.leastBytes {
        results[row.key] = Result(since: row.time, bytes: bytes)
      }
    } else if row.start == texts.memory {
      results[row.key]?.until = row.time
    }
  }

  /// Calls a function with each result and a task that used it.
  ///
  /// - Parameter isWanted: selects results.
  fileprivate func forEachUse(
    _ reader: LogReader, _ run: RunInfo, where isWanted: (Result) -> Bool = { _ in true },
    _ body: (_ result: Int64, _ user: Int64) -> Void
  ) throws {
    let wanted = results.filter { isWanted($0.value) }.keys.sorted()
    guard !wanted.isEmpty else { return }
    let graph = try reader.dependencies(of: run)
    func task(_ key: Int64) throws -> Int? {
      try reader.keys.element(key).flatMap { graph.task(hash: KeyHash.hash(of: $0)) }
    }
    var users = [Int64](repeating: 0, count: graph.count)
    try ended.forEachNumber { key, _ in
      if let task = try task(key) { users[task] = key }
    }
    for key in wanted {
      guard let task = try task(key) else { continue }
      for user in graph.dependents(of: task) where users[Int(user)] != 0 {
        body(key, users[Int(user)])
      }
    }
  }

  /// Results that stayed in memory after the end of the last task that used them.
  func held(_ reader: LogReader, _ run: RunInfo, atLeast seconds: Double) throws -> [HeldResult] {
    let least = Int64(seconds * 1e9)
    var used: [Int64: Int64] = [:]
    func isLong(_ result: Result) -> Bool {
      result.until == .max || result.until - result.since >= least
    }
    try forEachUse(reader, run, where: isLong) { used[$0] = max(used[$0] ?? 0, ended[$1]) }
    return used.compactMap { key, last -> HeldResult? in
      guard let result = results[key], last >= result.since, result.until > last else { return nil }
      return HeldResult(key: key, start: last, stop: result.until, bytes: result.bytes)
    }
  }

  /// The prefixes between which most bytes moved from one worker to another.
  func largestEdge(
    _ reader: LogReader, _ run: RunInfo, _ prefix: (Int64) throws -> String?
  ) throws -> TransferEdge? {
    struct Move: Hashable {
      var key, worker: Int64
    }
    struct Edge: Hashable {
      var from, to: String
    }
    var moves: [Move: Int64] = [:]
    try forEachUse(reader, run) { key, user in
      if workers[key] != workers[user] { moves[Move(key: key, worker: workers[user])] = user }
    }
    var edges: [Edge: Int64] = [:]
    for (move, user) in moves {
      guard let from = try prefix(move.key), let to = try prefix(user) else { continue }
      edges[Edge(from: from, to: to), default: 0] += results[move.key]?.bytes ?? 0
    }
    let all = edges.values.reduce(0, +)
    return edges.max { ($0.value, $1.key.from, $1.key.to) < ($1.value, $0.key.from, $0.key.to) }
      .map { TransferEdge(from: $0.key.from, to: $0.key.to, bytes: $0.value, all: all) }
  }
}

/// The prefixes between which most bytes moved.
struct TransferEdge: Sendable, Equatable {
  var from, to: String
  var bytes: Int64
  /// Those of all edges.
  var all: Int64
}
