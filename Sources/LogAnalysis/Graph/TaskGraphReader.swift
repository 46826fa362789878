import EventLog
import LogFormat
import TaskLogPlugin

/// Reads the graph of a run: its tasks, and those that each depends on. The view `dependencies`
/// says the same.
///
/// A part of the graph is in the snapshot of an event of the scheduler: `updateGraph`, as a client
/// submitted it; `attach`, as a recorder found it; `stimulus`, a task that came without a graph,
/// such as scattered data. A graph may have a million tasks, so it is not decoded: a key is
/// represented by its hash.
package enum TaskGraphReader {
  /// The hooks of events that can have a part of a graph.
  private static let hooks: [Hook] = [.updateGraph, .attach, .stimulus]

  /// Selects the events with a part of a graph, between two seqs: seq, source, snapshot, args,
  /// source_seq.
  static let selectEvents = """
    SELECT seq, source, snapshot, args, source_seq FROM event WHERE seq BETWEEN ? AND ?
      AND hook IN (SELECT id FROM text WHERE text IN (\(hooks.map { "'\($0.name)'" }.joined(separator: ", "))))
      AND snapshot IS NOT NULL
    ORDER BY seq
    """

  package struct Node {
    /// The hash of its key.
    package var key: UInt64 = 0
    /// The hashes of the keys that it depends on.
    package var dependencies: [UInt64] = []
    /// The offset of their list in the snapshot; `nil` if there is none.
    var offset: Int?
  }

  /// Calls a function for each task of the graph of an event.
  ///
  /// - Parameters:
  ///   - snapshot: as JSON.
  ///   - withArgs: calls its argument with the args as JSON, if there are any. They have the keys
  ///     of tasks that do not have their own, at the same index in `tasks`, as Dask's recorder
  ///     writes it.
  package static func forEachNode(
    in snapshot: UnsafeBufferPointer<UInt8>,
    withArgs: ((UnsafeBufferPointer<UInt8>) -> Void) -> Void, _ body: (Node) -> Void
  ) {
    var node = Node()
    var keysInArgs: [UInt64?]?
    forEachTask(in: snapshot) { scanner, index, _ in
      guard scanner.peek() == UInt8(ascii: "{") else { return }
      var (key, hasKey) = (UInt64?.none, false)
      node.dependencies.removeAll(keepingCapacity: true)
      node.offset = nil
      scanner.members { name, scanner in
        if scanner.equals(name, "key") {
          hasKey = true
          key = scanner.keyHash()
        } else if scanner.equals(name, "dependencies") {
          node.offset = scanner.offset
          scanner.elements { scanner in
            if let dependency = scanner.keyHash() { node.dependencies.append(dependency) }
          }
        }
      }
      if !hasKey {
        if keysInArgs == nil {
          keysInArgs = []
          withArgs { keysInArgs = keys(inArgs: $0) }
        }
        if let keysInArgs, index < keysInArgs.count { key = keysInArgs[index] }
      }
      guard let key else { return }
      node.key = key
      body(node)
    }
  }

  /// Calls a function at each task of the graph of an event, with the index of the task and whether
  /// a recorder found it when it was attached.
  static func forEachTask(
    in snapshot: UnsafeBufferPointer<UInt8>,
    _ body: (inout JSONScanner, _ index: Int, _ isFound: Bool) -> Void
  ) {
    func read(_ scanner: inout JSONScanner, isFound: Bool) {
      var index = 0
      scanner.elements { scanner in
        body(&scanner, index, isFound)
        index += 1
      }
    }
    var scanner = JSONScanner(snapshot)
    scanner.members { name, scanner in
      if scanner.equals(name, "graph") {
        read(&scanner, isFound: false)
      } else if scanner.equals(name, "attach") {
        scanner.members { name, scanner in
          if scanner.equals(name, "tasks") { read(&scanner, isFound: true) }
        }
      }
    }
  }

  private static func keys(inArgs args: UnsafeBufferPointer<UInt8>) -> [UInt64?] {
    var keys: [UInt64?] = []
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      guard scanner.equals(name, "tasks") else { return }
      scanner.elements { keys.append($0.keyHash()) }
    }
    return keys
  }

  /// A key as JSON; `nil` if it is not one.
  static func key(_ json: UnsafeBufferPointer<UInt8>) -> Key? {
    (try? JSONReader.value(String(decoding: json, as: UTF8.self))).flatMap(Key.init)
  }
}

extension JSONScanner {
  /// The hash of the current value as a key, as `KeyHash.hash(of: Key)`.
  fileprivate mutating func keyHash() -> UInt64? {
    guard let token = token() else { return nil }
    let json = self[token]
    // Escapes and spaces may be written in more than one way: such a key is decoded first.
    guard json.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "\\") }) else {
      return KeyHash.hash(of: json)
    }
    return TaskGraphReader.key(json).map(KeyHash.hash(of:))
  }
}

extension LogReader {
  /// Reads the graph of a run from its events; several threads read parts of a long log.
  ///
  /// - Parameter add: adds elements for a node of the graph in the event with this seq.
  /// - Throws: `LogError`, `SQLiteError`.
  func readGraph<Element: Sendable>(
    of run: RunInfo,
    _ add: @escaping @Sendable (Int64, TaskGraphReader.Node, inout [Element]) -> Void
  ) throws -> [Element] {
    guard let range = try range(of: run) else { return [] }
    let schedulers = SourceIndex(try sources(of: run).filter { $0.source.kind == .scheduler })
    let path = path
    var elements: [Element] = []
    let scan = ParallelScan<[Element]>(TaskGraphReader.selectEvents, over: range)
    try scan.run(self) { select, range in
      var part: [Element] = []
      try select.forEachRow(in: range, path) { seq in
        guard schedulers.place(select.integer(1)) != nil else { return }
        _ = select.withText(2) { snapshot in
          TaskGraphReader.forEachNode(in: snapshot) {
            _ = select.withText(3, $0)
          } _: { node in
            add(seq, node, &part)
          }
        }
      }
      return part
    } take: {
      elements += $0
    }
    return elements
  }
}
