import EventLog
import LogFormat
import TaskLogPlugin

/// Finds the tasks of some clients, of some named jobs and of some of Dask's spans.
///
/// The scheduler's graph events say all of it. A client's tasks are those that were new with its
/// graphs and those that it requested; of tasks that were there when a recorder was attached, the
/// log has the clients that want them. A task is of the named job that annotates it. What a task
/// submits counts for the client of that task and, without an annotation, for its job. A task is in
/// the span that annotates it or, without an annotation, in the span of its group, which is Dask's
/// span `default`. Dask records the span of a group only with the first of its tasks.
struct SubmissionScan {
  /// `nil` if clients do not matter.
  private(set) var ofClients: RowIDSet?
  /// `nil` if named jobs do not matter.
  private(set) var ofJobs: RowIDSet?
  /// `nil` if spans do not matter.
  private(set) var inSpans: RowIDSet?
  /// The names found, for messages.
  private(set) var clients: Set<String> = []
  private(set) var jobs: Set<String> = []
  private(set) var spans: Set<String> = []

  private let reader: LogReader
  private let pattern: SubmissionPart.Pattern
  private let selectKey: Statement
  /// The current span of each group.
  private var spanOfGroup: [String: String] = [:]
  /// The keys of tasks that have no row ID yet, in the spans and of the jobs.
  private var unresolved: Set<Key> = []
  private var unresolvedOfJobs: Set<Key> = []

  init(_ reader: LogReader, _ filter: ScopeFilter) throws {
    self.reader = reader
    pattern = SubmissionPart.Pattern(
      clients: filter.clients.map(TextPattern.init), jobs: filter.jobs.map(TextPattern.init),
      spans: filter.spans.map(TextPattern.init))
    if !filter.clients.isEmpty { ofClients = RowIDSet() }
    if !filter.jobs.isEmpty { ofJobs = RowIDSet() }
    if !filter.spans.isEmpty { inSpans = RowIDSet() }
    selectKey = try reader.connection.prepare(
      "SELECT id FROM key WHERE text = ? AND typed = ?")
  }

  mutating func scan(_ run: RunInfo, _ range: ClosedRange<Int64>) throws {
    let schedulers = SourceIndex(
      try reader.sources(of: run).filter { $0.source.kind == .scheduler })
    let (path, pattern) = (reader.path, pattern)
    let submitters = try self.submitters(range)
    let scan = ParallelScan<SubmissionPart>(TaskGraphReader.selectEvents, over: range)
    try scan.run(reader) { select, range in
      var part = SubmissionPart()
      try select.forEachRow(in: range, path) { _ in
        guard schedulers.place(select.integer(1)) != nil else { return }
        let submitter = submitters[
          Graph(source: select.integer(1), sourceSeq: select.integer(4))]
        // The pointer of a column is valid until the next conversion of that column only.
        let empty = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        _ = select.withText(2) { snapshot in
          let found: Void? = select.withText(3) {
            part.read(args: $0, snapshot, pattern, submitter)
          }
          if found == nil { part.read(args: empty, snapshot, pattern, submitter) }
        }
      }
      return part
    } take: {
      try take($0)
    }
  }

  /// A mark and its graph are next to each other in the source; in the log few events are between.
  private static let mostBetween: Int64 = 100_000

  private struct Graph: Hashable { var source, sourceSeq: Int64 }

  /// The row ID of the task that submitted each graph. The mark comes just before the graph.
  private func submitters(_ range: ClosedRange<Int64>) throws -> [Graph: Int64] {
    guard ofClients != nil || ofJobs != nil,
      let hook = try reader.number(ofText: Hook.submission.name)
    else { return [:] }
    let select = try reader.connection.prepare(
      """
      SELECT event.source, event.source_seq, event.key
      FROM hook_event JOIN event ON event.seq = hook_event.seq
      WHERE hook_event.hook = \(hook) AND hook_event.seq BETWEEN ? AND ? AND event.key > 0
      """)
    // The graph of a mark before the range may begin it.
    try select.bind(1, range.lowerBound &- Self.mostBetween)
    try select.bind(2, range.upperBound)
    var submitters: [Graph: Int64] = [:]
    while try select.step() {
      let graph = Graph(source: select.integer(0), sourceSeq: select.integer(1) &+ 1)
      submitters[graph] = select.integer(2)
    }
    return submitters
  }

  private mutating func take(_ part: SubmissionPart) throws {
    clients.formUnion(part.clients)
    jobs.formUnion(part.jobs)
    spans.formUnion(part.spans)
    for task in part.tasks {
      let value = try? JSONReader.value(String(decoding: task.key, as: UTF8.self))
      guard let key = value.flatMap(Key.init) else { continue }
      let isInSpan = isInSpan(task, key)
      var (isOfClient, isOfJob) = (task.isOfClient, task.isOfJob ?? false)
      if let submitter = task.submitter {
        isOfClient = isOfClient && ofClients?.contains(submitter) ?? false
        isOfJob = task.isOfJob ?? (ofJobs?.contains(submitter) ?? false)
      }
      guard isOfClient || isOfJob || isInSpan else { continue }
      guard let id = try id(of: key) else {
        // In a live log a key gets its row ID with the first event of its task.
        if isInSpan { unresolved.insert(key) }
        if isOfJob { unresolvedOfJobs.insert(key) }
        continue
      }
      if isOfClient { _ = ofClients?.insert(id) }
      if isOfJob { _ = ofJobs?.insert(id) }
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

  /// Whether a task is in the spans and of the jobs, as far as they matter.
  func selects(_ key: Int64) -> Bool {
    (inSpans?.contains(key) ?? true) && (ofJobs?.contains(key) ?? true)
  }

  private func id(of key: Key) throws -> Int64? {
    defer { selectKey.reset() }
    try selectKey.bind(1, key.text)
    try selectKey.bind(2, key.typed)
    return try selectKey.step() ? selectKey.integer(0) : nil
  }

  /// Completes the tasks in spans and of jobs by a key that had no row ID before.
  mutating func resolve(_ key: Key, _ id: Int64) {
    if !unresolved.isEmpty, unresolved.remove(key) != nil { _ = inSpans?.insert(id) }
    if !unresolvedOfJobs.isEmpty, unresolvedOfJobs.remove(key) != nil { _ = ofJobs?.insert(id) }
  }
}

/// The tasks that some graphs contain, as one thread reads them.
struct SubmissionPart: Sendable {
  struct Pattern: Sendable {
    var clients: [TextPattern]
    var jobs: [TextPattern]
    var spans: [TextPattern]

    var needsAnnotations: Bool { !jobs.isEmpty || !spans.isEmpty }
  }

  struct Task: Sendable {
    enum Span: Sendable {
      case annotated(matches: Bool)
      case ofGroup
    }

    /// JSON.
    var key: [UInt8]
    /// Whether it counts for the client that submitted the graph, and that client matches.
    var isOfClient: Bool
    /// Whether its named job matches; `nil` without one.
    var isOfJob: Bool?
    /// The task that submitted the graph, to whose client this one counts then.
    var submitter: Int64?
    /// `nil` if the event does not say.
    var span: Span?
    /// The span of its group, if it is recorded with this task.
    var groupSpan: String?
  }

  /// The annotation with the name of a task's job, as `tasklog.job` sets it.
  private static let jobAnnotation: StaticString = "tasklog_job"
  /// Dask's name of the span of tasks without an annotation.
  static let defaultSpan = "default"

  private(set) var tasks: [Task] = []
  private(set) var clients: Set<String> = []
  private(set) var jobs: Set<String> = []
  private(set) var spans: Set<String> = []

  /// Whether a span with this annotation, JSON, matches.
  private var matches: [[UInt8]: Bool] = [:]

  mutating func read(
    args: UnsafeBufferPointer<UInt8>, _ snapshot: UnsafeBufferPointer<UInt8>, _ pattern: Pattern,
    _ submitter: Int64?
  ) {
    var client: String?
    var names: [Range<Int>] = []
    var wanted: Set<[UInt8]> = []
    var shared: [Int64: Bool] = [:]
    var sharedJobs: [Int64: Bool] = [:]
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      if scanner.equals(name, "client") {
        client = Self.text(&scanner)
      } else if scanner.equals(name, "tasks") {
        scanner.elements { if let token = $0.token() { names.append(token) } }
      } else if scanner.equals(name, "keys"), !pattern.clients.isEmpty {
        scanner.elements { if let token = $0.token() { wanted.insert(Array($0[token])) } }
      } else if scanner.equals(name, "annotations"), pattern.needsAnnotations {
        scanner.members { name, scanner in
          if scanner.equals(name, "span") {
            Self.readShared(&scanner) { _ = isMatch(&$0, pattern, &shared) }
          } else if scanner.equals(name, Self.jobAnnotation) {
            Self.readShared(&scanner) { _ = isJobMatch(&$0, pattern, &sharedJobs) }
          }
        }
      }
    }
    var isOfClient = client.map { pattern.clients.anyMatches($0) }
    if submitter != nil {
      isOfClient = !pattern.clients.isEmpty
    } else if let client {
      clients.insert(client)
    }
    if isOfClient == true {
      for key in wanted { tasks.append(Task(key: key, isOfClient: true, submitter: submitter)) }
    }
    TaskGraphReader.forEachTask(in: snapshot) { scanner, index, isFound in
      let hasName = !isFound && index < names.count
      var task = Task(
        key: hasName ? Array(args[names[index]]) : [],
        isOfClient: !isFound && isOfClient == true, submitter: submitter)
      task.span = .ofGroup
      var isKnown = false
      scanner.members { name, scanner in
        if scanner.equals(name, "key") {
          task.key = scanner.token().map { Array(scanner[$0]) } ?? []
        } else if scanner.equals(name, "known") {
          task.isOfClient = false
          isKnown = true
        } else if scanner.equals(name, "span") {
          task.groupSpan = Self.text(&scanner)
        } else if scanner.equals(name, "whoWants"), isFound || isOfClient == nil {
          scanner.elements { scanner in
            guard let client = Self.text(&scanner) else { return }
            clients.insert(client)
            if pattern.clients.anyMatches(client) { task.isOfClient = true }
          }
        } else if scanner.equals(name, "annotations"), pattern.needsAnnotations {
          scanner.members { name, scanner in
            if scanner.equals(name, "span") {
              task.span = .annotated(matches: isMatch(&scanner, pattern, &shared))
            } else if scanner.equals(name, Self.jobAnnotation) {
              task.isOfJob = isJobMatch(&scanner, pattern, &sharedJobs)
            }
          }
        }
      }
      // A task keeps the job that it was first submitted with.
      if isKnown { task.isOfJob = false }
      if pattern.spans.isEmpty { task.span = nil }
      let canBeOfJob = task.isOfJob ?? (submitter != nil && !pattern.jobs.isEmpty)
      if !task.key.isEmpty, task.isOfClient || canBeOfJob || task.span != nil {
        tasks.append(task)
      }
    }
  }

  // MARK: - Annotations

  /// Calls a function at each value of an annotation in the args, to which the graph may refer.
  private static func readShared(
    _ scanner: inout JSONScanner, _ body: (inout JSONScanner) -> Void
  ) {
    scanner.members { name, scanner in
      if scanner.equals(name, "$map") {
        scanner.elements { scanner in
          var isValue = false
          scanner.elements { scanner in
            if isValue { body(&scanner) }
            isValue = true
          }
        }
      } else {
        body(&scanner)
      }
    }
  }

  /// Whether an annotation, text that may be shared, is the name of a matching job.
  private mutating func isJobMatch(
    _ scanner: inout JSONScanner, _ pattern: Pattern, _ shared: inout [Int64: Bool]
  ) -> Bool {
    guard let token = scanner.token() else { return false }
    let (number, content) = sharedParts(Array(scanner[token]))
    if let number, content == nil { return shared[number] ?? false }
    let json = content ?? Array(scanner[token])
    let value = try? JSONReader.value(String(decoding: json, as: UTF8.self))
    guard let name = value?.string else { return false }
    jobs.insert(name)
    let isMatch = pattern.jobs.anyMatches(name)
    if let number { shared[number] = isMatch }
    return isMatch
  }

  /// The number of a shared annotation, and its value where it is the first one of that number.
  private func sharedParts(_ json: [UInt8]) -> (number: Int64?, content: [UInt8]?) {
    var (number, content): (Int64?, [UInt8]?)
    json.withUnsafeBufferPointer { bytes in
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
    return (number, content)
  }

  /// Whether the annotation `{"name": …, "ids": …}` is of a matching span, or of one within it.
  private mutating func isMatch(
    _ scanner: inout JSONScanner, _ pattern: Pattern, _ shared: inout [Int64: Bool]
  ) -> Bool {
    guard let token = scanner.token() else { return false }
    let text = Array(scanner[token])
    if let known = matches[text] { return known }
    let (number, content) = sharedParts(text)
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
