import EventLog
import LogFormat
import TaskLogPlugin

/// The dependencies of each task of a run, as graphs were submitted; found by the task's key.
///
/// For each task only a hash of its key and the location of its dependencies in the log are kept:
/// graphs may be as large as the run. The text of a graph is read again when one of its tasks is
/// looked up.
final class GraphDependencies {
  struct Entry: Sendable {
    var hash: Int
    /// The event of the graph.
    var seq: Int64
    /// The location of the dependencies in its snapshot.
    var place: Int
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
    entries = try Self.entries(reader, run).sorted { ($0.hash, $0.seq) < ($1.hash, $1.seq) }
    selectSnapshot = try reader.connection.prepare("SELECT snapshot FROM event WHERE seq = ?")
    selectKey = try reader.connection.prepare("SELECT id FROM key WHERE text = ? AND typed = ?")
  }

  /// The row IDs of the keys that a task depends on, in no order.
  func dependencies(of key: Key) throws -> Set<Int64> {
    var found: Set<Int64> = []
    let hash = Self.hash(key)
    var place = entries.partitioningIndex { $0.hash >= hash }
    while place < entries.count, entries[place].hash == hash {
      for dependency in try keys(entries[place]) {
        defer { selectKey.reset() }
        try selectKey.bind(1, dependency.text)
        try selectKey.bind(2, dependency.typed)
        if try selectKey.step() { found.insert(selectKey.integer(0)) }
      }
      place += 1
    }
    return found
  }

  private func keys(_ entry: Entry) throws -> [Key] {
    try snapshot(entry.seq).withUnsafeBufferPointer { text in
      var keys: [Key] = []
      var scanner = JSONScanner(text, from: entry.place)
      scanner.elements { scanner in
        if let json = scanner.token(), let key = Self.key(text[json]) { keys.append(key) }
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

  // MARK: - Keys

  private static func key(_ json: Slice<UnsafeBufferPointer<UInt8>>) -> Key? {
    (try? JSONReader.value(String(decoding: json, as: UTF8.self))).flatMap(Key.init)
  }

  /// The hash of a key's JSON, in the format of this log's writer.
  private static func hash(_ key: Key) -> Int {
    var json = key.typed.isEmpty ? JSONWriter.text(.string(key.text)) : key.typed
    return json.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
  }

  private static func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: bytes)
    return hasher.finalize()
  }

  /// Escapes and spaces may be written in more than one way: such a key is decoded first.
  private static func hash(_ json: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
    guard json.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "\\") }) else {
      return hash(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: json)))
    }
    return key(json).map(hash)
  }

  // MARK: - Graphs

  private static func entries(_ reader: LogReader, _ run: RunInfo) throws -> [Entry] {
    guard let range = try reader.range(of: run),
      let hook = try reader.connection.integer("SELECT id FROM text WHERE text = 'updateGraph'")
    else { return [] }
    let sources = SourceIndex(try reader.sources(of: run))
    let path = reader.path
    var entries: [Entry] = []
    let scan = ParallelScan<[Entry]>(
      """
      SELECT seq, source, snapshot, args FROM event
      WHERE seq BETWEEN ? AND ? AND hook = \(hook) ORDER BY seq
      """, over: range)
    try scan.run(reader) { select, range in
      var part: [Entry] = []
      try select.forEachRow(in: range, path) { seq in
        guard sources.place(select.integer(1)) != nil else { return }
        _ = select.withText(2) { snapshot in
          graph(seq, snapshot, into: &part) { (select.withText(3) { tasks($0) }) ?? [] }
        }
      }
      return part
    } take: {
      entries += $0
    }
    return entries
  }

  /// The tasks of a graph that have dependencies.
  ///
  /// - Parameter tasks: the keys of the tasks in order; Dask's graphs have them only in the args.
  private static func graph(
    _ seq: Int64, _ text: UnsafeBufferPointer<UInt8>, into entries: inout [Entry],
    tasks: () -> [Int?]
  ) {
    var keys: [Int?]?
    var index = 0
    var scanner = JSONScanner(text)
    scanner.members { name, scanner in
      guard scanner.equals(name, "graph") else { return }
      scanner.elements { scanner in
        var (key, place) = (Int?.none, Int?.none)
        var hasKey = false
        scanner.members { name, scanner in
          if scanner.equals(name, "key") {
            hasKey = true
            key = scanner.token().flatMap { hash(text[$0]) }
          } else if scanner.equals(name, "dependencies") {
            place = scanner.offset
          }
        }
        if let place {
          if !hasKey {
            let all = keys ?? tasks()
            keys = all
            key = index < all.count ? all[index] : nil
          }
          if let key { entries.append(Entry(hash: key, seq: seq, place: place)) }
        }
        index += 1
      }
    }
  }

  /// Hashes of the keys in the argument `tasks`: a list, or a tuple.
  private static func tasks(_ args: UnsafeBufferPointer<UInt8>) -> [Int?] {
    var keys: [Int?] = []
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      guard scanner.equals(name, "tasks") else { return }
      scanner.elements { scanner in
        keys.append(scanner.token().flatMap { hash(args[$0]) })
      }
    }
    return keys
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
