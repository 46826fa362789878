import EventLog
import LogFormat
import TaskLogPlugin

/// The dependencies of single tasks of a run, found by the task's key.
///
/// For each task only a hash of its key and the location of its dependencies in the log are kept:
/// graphs may be as large as the run. The text of a graph is read again when one of its tasks is
/// looked up.
final class GraphDependencies {
  struct Entry: Sendable {
    /// The hash of the task's key.
    var key: UInt64
    /// The event of the graph.
    var seq: Int64
    /// The offset of the list of dependencies in its snapshot.
    var offset: Int
  }

  private let reader: LogReader
  /// By their hashes.
  private let entries: [Entry]
  private let selectSnapshot: Statement
  private let selectKey: Statement
  /// The most recently used graphs, the newest at the end; neighbours on a path are mostly in one
  /// graph, and tasks that fail together are in a few.
  private var last: [(seq: Int64, text: [UInt8])] = []
  private static let mostKept = 8
  private static let maximumBytesKept = 128 << 20

  init(_ reader: LogReader, _ run: RunInfo) throws {
    self.reader = reader
    let entries: [Entry] = try reader.readGraph(of: run) { seq, node, entries in
      if let offset = node.offset, !node.dependencies.isEmpty {
        entries.append(Entry(key: node.key, seq: seq, offset: offset))
      }
    }
    self.entries = entries.sorted { ($0.key, $0.seq) < ($1.key, $1.seq) }
    selectSnapshot = try reader.connection.prepare("SELECT snapshot FROM event WHERE seq = ?")
    selectKey = try reader.connection.prepare("SELECT id FROM key WHERE text = ? AND typed = ?")
  }

  /// The row IDs of the keys that a task depends on, in no order.
  func dependencies(of key: Key) throws -> Set<Int64> {
    var found: Set<Int64> = []
    let hash = KeyHash.hash(of: key)
    var index = entries.partitioningIndex { $0.key >= hash }
    while index < entries.count, entries[index].key == hash {
      for dependency in try keys(entries[index]) {
        defer { selectKey.reset() }
        try selectKey.bind(1, dependency.text)
        try selectKey.bind(2, dependency.typed)
        if try selectKey.step() { found.insert(selectKey.integer(0)) }
      }
      index += 1
    }
    return found
  }

  private func keys(_ entry: Entry) throws -> [Key] {
    try snapshot(entry.seq).withUnsafeBufferPointer { text in
      var keys: [Key] = []
      guard entry.offset < text.count else { return [] }
      var scanner = JSONScanner(UnsafeBufferPointer(rebasing: text[entry.offset...]))
      scanner.elements { scanner in
        if let token = scanner.token(), let key = TaskGraphReader.key(scanner[token]) {
          keys.append(key)
        }
      }
      return keys
    }
  }

  private func snapshot(_ seq: Int64) throws -> [UInt8] {
    if let known = last.lastIndex(where: { $0.seq == seq }) {
      // Mostly it is the last one, and nothing moves.
      if known < last.count - 1 { last.append(last.remove(at: known)) }
      return last[last.count - 1].text
    }
    defer { selectSnapshot.reset() }
    try selectSnapshot.bind(1, seq)
    guard try selectSnapshot.step() else { return [] }
    let text = selectSnapshot.withText(0) { Array($0) } ?? []
    while last.count == Self.mostKept
      || last.reduce(text.count, { $0 + $1.text.count }) > Self.maximumBytesKept, !last.isEmpty
    {
      last.removeFirst()
    }
    last.append((seq, text))
    return text
  }
}

extension Array {
  /// The first index at which a condition holds that also holds for all later ones.
  fileprivate func partitioningIndex(_ isBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = low + (high - low) / 2
      if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
