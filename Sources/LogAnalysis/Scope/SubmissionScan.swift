import EventLog
import LogFormat
import TaskLogPlugin

/// Finds the tasks of some clients and of some of Dask's spans.
///
/// The scheduler's graph events say both. A client's tasks are those that were new with its graphs
/// and those that it requested; of tasks that were there when a recorder was attached, the log has
/// the clients that want them. A task is in the span that annotates it or, without an annotation, in
/// the span of its group, which is Dask's span `default`. Dask records the span of a group only with
/// the first of its tasks.
struct SubmissionScan {
  /// `nil` if clients do not matter.
  private(set) var ofClients: RowIDSet?
  /// `nil` if spans do not matter.
  private(set) var inSpans: RowIDSet?
  /// The names found, for messages.
  private(set) var clients: Set<String> = []
  private(set) var spans: Set<String> = []

  private let reader: LogReader
  private let pattern: SubmissionPart.Pattern
  private let selectKey: Statement
  /// The current span of each group.
  private var spanOfGroup: [String: String] = [:]
  /// The keys of tasks in the spans that have no row ID yet.
  private var unresolved: Set<Key> = []

  init(_ reader: LogReader, _ filter: ScopeFilter) throws {
    self.reader = reader
    pattern = SubmissionPart.Pattern(
      clients: filter.clients.map(TextPattern.init), spans: filter.spans.map(TextPattern.init))
    if !filter.clients.isEmpty { ofClients = RowIDSet() }
    if !filter.spans.isEmpty { inSpans = RowIDSet() }
    selectKey = try reader.connection.prepare(
      "SELECT id FROM key WHERE text = ? AND typed = ?")
  }

  mutating func scan(_ run: RunInfo, _ range: ClosedRange<Int64>) throws {
    let schedulers = SourceIndex(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler })
    let (path, pattern) = (reader.path, pattern)
    let scan = ParallelScan<SubmissionPart>(TaskGraphReader.selectEvents, over: range)
    try scan.run(reader) { select, range in
      var part = SubmissionPart()
      try select.forEachRow(in: range, path) { _ in
        guard schedulers.place(select.integer(1)) != nil else { return }
        // The pointer of a column is valid until the next conversion of that column only.
        let empty = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        _ = select.withText(2) { snapshot in
          let found: Void? = select.withText(3) { part.read(args: $0, snapshot, pattern) }
          if found == nil { part.read(args: empty, snapshot, pattern) }
        }
      }
      return part
    } take: {
      try take($0)
    }
  }

  private mutating func take(_ part: SubmissionPart) throws {
    clients.formUnion(part.clients)
    spans.formUnion(part.spans)
    for task in part.tasks {
      let value = try? JSONReader.value(String(decoding: task.key, as: UTF8.self))
      guard let key = value.flatMap(Key.init) else { continue }
      let isInSpan = isInSpan(task, key)
      guard task.isOfClient || isInSpan else { continue }
      guard let id = try id(of: key) else {
        // In a live log a key gets its row ID with the first event of its task.
        if isInSpan { unresolved.insert(key) }
        continue
      }
      if task.isOfClient { _ = ofClients?.insert(id) }
      if isInSpan { _ = inSpans?.insert(id) }
    }
  }

  private mutating func isInSpan(_ task: SubmissionPart.Task, _ key: Key) -> Bool {
    if let span = task.groupSpan { spanOfGroup[key.group] = span }
    switch task.span {
    case nil: return false
    case .annotated(let matches): return matches
    case .ofGroup:
      guard let span = spanOfGroup[key.group] else { return false }
      spans.insert(SubmissionPart.defaultSpan)
      return pattern.spans.anyMatches(SubmissionPart.defaultSpan) || pattern.spans.anyMatches(span)
    }
  }

  private func id(of key: Key) throws -> Int64? {
    defer { selectKey.reset() }
    try selectKey.bind(1, key.text)
    try selectKey.bind(2, key.typed)
    return try selectKey.step() ? selectKey.integer(0) : nil
  }

  /// Completes the tasks in spans by a key that had no row ID before.
  mutating func resolve(_ key: Key, _ id: Int64) {
    if !unresolved.isEmpty, unresolved.remove(key) != nil { _ = inSpans?.insert(id) }
  }
}

/// The tasks that some graphs contain, as one thread reads them.
struct SubmissionPart: Sendable {
  struct Pattern: Sendable {
    var clients: [TextPattern]
    var spans: [TextPattern]
  }

  struct Task: Sendable {
    enum Span: Sendable {
      case annotated(matches: Bool)
      case ofGroup
    }

    /// JSON.
    var key: [UInt8]
    var isOfClient: Bool
    /// `nil` if the event does not say.
    var span: Span?
    /// The span of its group, if it is recorded with this task.
    var groupSpan: String?
  }

  /// Dask's name of the span of tasks without an annotation.
  static let defaultSpan = "default"

  private(set) var tasks: [Task] = []
  private(set) var clients: Set<String> = []
  private(set) var spans: Set<String> = []

  /// Whether a span with this annotation, JSON, matches.
  private var matches: [[UInt8]: Bool] = [:]

  mutating func read(
    args: UnsafeBufferPointer<UInt8>, _ snapshot: UnsafeBufferPointer<UInt8>, _ pattern: Pattern
  ) {
    var client: String?
    var names: [Range<Int>] = []
    var wanted: Set<[UInt8]> = []
    var shared: [Int64: Bool] = [:]
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      if scanner.equals(name, "client") {
        client = Self.text(&scanner)
      } else if scanner.equals(name, "tasks") {
        scanner.elements { if let token = $0.token() { names.append(token) } }
      } else if scanner.equals(name, "keys"), !pattern.clients.isEmpty {
        scanner.elements { if let token = $0.token() { wanted.insert(Array($0[token])) } }
      } else if scanner.equals(name, "annotations"), !pattern.spans.isEmpty {
        readShared(&scanner, pattern, &shared)
      }
    }
    let isOfClient = client.map { pattern.clients.anyMatches($0) }
    if let client { clients.insert(client) }
    if isOfClient == true {
      for key in wanted { tasks.append(Task(key: key, isOfClient: true)) }
    }
    TaskGraphReader.forEachTask(in: snapshot) { scanner, index, isFound in
      let hasName = !isFound && index < names.count
      var task = Task(
        key: hasName ? Array(args[names[index]]) : [],
        isOfClient: !isFound && isOfClient == true)
      task.span = .ofGroup
      scanner.members { name, scanner in
        if scanner.equals(name, "key") {
          task.key = scanner.token().map { Array(scanner[$0]) } ?? []
        } else if scanner.equals(name, "known") {
          task.isOfClient = false
        } else if scanner.equals(name, "span") {
          task.groupSpan = Self.text(&scanner)
        } else if scanner.equals(name, "whoWants"), isFound || isOfClient == nil {
          scanner.elements { scanner in
            guard let client = Self.text(&scanner) else { return }
            clients.insert(client)
            if pattern.clients.anyMatches(client) { task.isOfClient = true }
          }
        } else if scanner.equals(name, "annotations"), !pattern.spans.isEmpty {
          scanner.members { name, scanner in
            guard scanner.equals(name, "span") else { return }
            task.span = .annotated(matches: isMatch(&scanner, pattern, &shared))
          }
        }
      }
      if pattern.spans.isEmpty { task.span = nil }
      if !task.key.isEmpty, task.isOfClient || task.span != nil { tasks.append(task) }
    }
  }

  // MARK: - Annotations

  /// The shared annotations of the args, to which the graph may refer.
  private mutating func readShared(
    _ scanner: inout JSONScanner, _ pattern: Pattern, _ shared: inout [Int64: Bool]
  ) {
    scanner.members { name, scanner in
      guard scanner.equals(name, "span") else { return }
      scanner.members { name, scanner in
        if scanner.equals(name, "$map") {
          scanner.elements { scanner in
            var isValue = false
            scanner.elements { scanner in
              if isValue { _ = isMatch(&scanner, pattern, &shared) }
              isValue = true
            }
          }
        } else {
          _ = isMatch(&scanner, pattern, &shared)
        }
      }
    }
  }

  /// Whether the annotation `{"name": …, "ids": …}` is of a matching span, or of one within it.
  private mutating func isMatch(
    _ scanner: inout JSONScanner, _ pattern: Pattern, _ shared: inout [Int64: Bool]
  ) -> Bool {
    guard let token = scanner.token() else { return false }
    let text = Array(scanner[token])
    if let known = matches[text] { return known }
    var (number, content): (Int64?, [UInt8]?)
    text.withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes)
      scanner.members { name, scanner in
        guard scanner.equals(name, "$shared") else { return }
        scanner.elements { scanner in
          if number == nil {
            number = scanner.integer()
          } else {
            content = scanner.token().map { Array(scanner[$0]) }
          }
        }
      }
    }
    if number != nil, content == nil { return number.flatMap { shared[$0] } ?? false }
    let isMatch = isSpan(content ?? text, pattern)
    if let number { shared[number] = isMatch }
    return isMatch
  }

  private mutating func isSpan(_ json: [UInt8], _ pattern: Pattern) -> Bool {
    if let known = matches[json] { return known }
    var isMatch = false
    json.withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes)
      scanner.members { name, scanner in
        let isName = scanner.equals(name, "name")
        guard isName || scanner.equals(name, "ids") else { return }
        scanner.elements { scanner in
          guard let text = Self.text(&scanner) else { return }
          if isName { spans.insert(text) }
          if pattern.spans.anyMatches(text) { isMatch = true }
        }
      }
    }
    matches[json] = isMatch
    return isMatch
  }

  private static func text(_ scanner: inout JSONScanner) -> String? {
    scanner.token().flatMap {
      (try? JSONReader.value(String(decoding: scanner[$0], as: UTF8.self)))?.string
    }
  }
}
