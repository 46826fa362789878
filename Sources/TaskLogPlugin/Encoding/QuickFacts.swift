/// Snapshots and args of a log, read without making values of them.
///
/// Each initializer returns `nil` if the text is not as usually written; then the values are used.
/// A test holds both equal.

extension Snapshot {
  /// The snapshot of a task or a graph.
  init?(fast json: EncodedJSON) {
    let snapshot: Snapshot? = JSONReader.read(json) { reader throws(JSONError) in
      var snapshot: Snapshot?
      try reader.fields { (reader, name) throws(JSONError) in
        guard snapshot == nil else { throw reader.needsGenericDecode() }
        switch name {
        case SnapshotKind.task: snapshot = .task(try TaskSnapshot(&reader))
        case SnapshotKind.graph:
          var tasks: [GraphTask] = []
          try reader.elements { reader throws(JSONError) in
            tasks.append(try GraphTask(&reader, after: tasks.last))
          }
          snapshot = .graph(tasks)
        default: throw reader.needsGenericDecode()
        }
      }
      guard let snapshot else { throw reader.needsGenericDecode() }
      return snapshot
    }
    guard let snapshot else { return nil }
    self = snapshot
  }
}

extension TaskSnapshot {
  fileprivate init(_ reader: inout JSONReader) throws(JSONError) {
    var snapshot = TaskSnapshot()
    try reader.fields { (reader, name) throws(JSONError) in
      switch name {
      case TaskField.nbytes: snapshot.nbytes = try reader.integer()
      case TaskField.typeName: snapshot.typeName = try reader.text()
      case TaskField.exceptionText: snapshot.exceptionText = try reader.text()
      case TaskField.tracebackText: snapshot.tracebackText = try reader.text()
      case TaskField.startStops: snapshot.startStops = try reader.startStops()
      case TaskField.comingFrom: snapshot.comingFrom = try reader.text()
      case TaskField.cause: snapshot.cause = try reader.key()
      case TaskField.retries: snapshot.retries = try reader.integer().flatMap { Int(exactly: $0) }
      case TaskField.suspicious:
        snapshot.suspicious = try reader.integer().flatMap { Int(exactly: $0) }
      case TaskField.previous: snapshot.previous = try reader.text().map { State($0) }
      case TaskField.state: snapshot.state = try reader.text().map { State($0) }
      case TaskField.counter: snapshot.counter = try reader.integer()
      default: try reader.skipValue()
      }
    }
    self = snapshot
  }
}

extension GraphTask {
  fileprivate init(_ reader: inout JSONReader, after last: GraphTask?) throws(JSONError) {
    var key: Key?
    var task = GraphTask(key: last?.key ?? "")
    try reader.fields { (reader, name) throws(JSONError) in
      switch name {
      case GraphTaskField.key: key = try reader.key(after: last?.key)
      case GraphTaskField.dependencies: task.dependencies = try reader.keys()
      case GraphTaskField.priority: task.priority = try reader.priority()
      case GraphTaskField.annotations:
        task.annotations = []
        if case .dict(let entries) = try reader.anyValue() { task.annotations = entries }
      case GraphTaskField.retries:
        task.retries = try reader.integer().flatMap { Int(exactly: $0) } ?? 0
      case GraphTaskField.workerRestrictions: task.workerRestrictions = try reader.texts()
      case GraphTaskField.looseRestrictions:
        task.looseRestrictions = try reader.anyValue().bool ?? false
      case GraphTaskField.resourceRestrictions:
        task.resourceRestrictions = Resource.list(try reader.anyValue())
      default: try reader.skipValue()
      }
    }
    guard let key else { throw reader.needsGenericDecode() }
    task.key = key
    self = task
  }
}

extension ClientKeys {
  init?(fast json: EncodedJSON) {
    let result = JSONReader.read(json) { reader throws(JSONError) in
      var client: String?
      var keys: [Key] = []
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "client": client = try reader.text()
        case "keys": keys = try reader.keys()
        default: try reader.skipValue()
        }
      }
      guard let client else { throw reader.needsGenericDecode() }
      return ClientKeys(client: client, keys: keys)
    }
    guard let result else { return nil }
    self = result
  }
}

/// The args of processing → memory that change the state.
struct StoredResult {
  var worker: String?
  var nbytes: Int64?
  var typeName: String?
  var startStops: [StartStop] = []

  init(_ args: Args.Content) {
    worker = args["worker"]?.string
    nbytes = args["nbytes"]?.int
    typeName = args["typename"]?.string
    startStops = (args["startstops"]?.elements ?? []).compactMap(StartStop.init)
  }

  /// - Parameters:
  ///   - worker: the worker that nearly always is the one.
  ///   - typeName: the type that often is the one.
  init?(fast json: EncodedJSON, worker: String?, typeName: String?) {
    let result = JSONReader.read(json) { reader throws(JSONError) in
      var result = StoredResult(Args.Content())
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "worker": result.worker = try reader.text(like: worker)
        case "nbytes": result.nbytes = try reader.integer()
        case "typename": result.typeName = try reader.text(like: typeName)
        case "startstops": result.startStops = try reader.startStops()
        default: try reader.skipValue()
        }
      }
      return result
    }
    guard let result else { return nil }
    self = result
  }
}

extension Event {
  /// The spans of work that a scheduler's event of a result reports.
  package var reportedSpans: [StartStop] {
    if case .run(let report) = args.storage { return report.startStops }
    let fast = args.encoded.flatMap { StoredResult(fast: $0, worker: worker, typeName: nil) }
    return (fast ?? StoredResult(args.content)).startStops
  }
}

/// The request to a worker to run a task, with what that needs.
struct ComputeStimulus {
  var facts: ComputeRequest
  /// Sizes of dependencies that may have to be fetched, as sent by Dask.
  var sizes: [(key: Key, nbytes: Int64?)] = []

  init(_ args: Args.Content) {
    var annotations: [Value.Entry]?
    if case .dict(let entries)? = args["annotations"] { annotations = entries }
    facts = ComputeRequest(
      priority: args["priority"].flatMap(Priority.init), whoHas: Self.whoHas(args),
      annotations: annotations, resourceRestrictions: Resource.list(args["resource_restrictions"]))
    sizes = Self.sizes(args)
  }

  static func whoHas(_ args: Args.Content) -> [(Key, [String])] {
    guard case .dict(let holders)? = args["who_has"] else { return [] }
    return holders.compactMap { entry in
      Key(entry.key).map { ($0, (entry.value.elements ?? []).compactMap(\.string)) }
    }
  }

  static func sizes(_ args: Args.Content) -> [(key: Key, nbytes: Int64?)] {
    guard case .dict(let entries)? = args["nbytes"] else { return [] }
    return entries.compactMap { entry in Key(entry.key).map { ($0, entry.value.int) } }
  }

  /// `nil` also for other stimuli.
  init?(fast json: EncodedJSON) {
    let stimulus = JSONReader.read(json) { reader throws(JSONError) in
      var stimulus = ComputeStimulus(Args.Content())
      var isCompute = false
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "op":
          guard try reader.text(like: "compute-task") == "compute-task" else {
            throw reader.needsGenericDecode()
          }
          isCompute = true
        case "priority": stimulus.facts.priority = try reader.priority()
        case "who_has":
          var holders: [(Key, [String])] = []
          try reader.entries { (reader, key) throws(JSONError) in
            holders.append((key, try reader.texts(like: holders.last?.1.first)))
          }
          stimulus.facts.whoHas = holders
        case "nbytes":
          stimulus.sizes = []
          try reader.entries { (reader, key) throws(JSONError) in
            stimulus.sizes.append((key, try reader.integer()))
          }
        case "annotations":
          stimulus.facts.annotations = nil
          if case .dict(let entries) = try reader.anyValue() {
            stimulus.facts.annotations = entries
          }
        case "resource_restrictions":
          stimulus.facts.resourceRestrictions = Resource.list(try reader.anyValue())
        default: try reader.skipValue()
        }
      }
      guard isCompute else { throw reader.needsGenericDecode() }
      return stimulus
    }
    guard let stimulus else { return nil }
    self = stimulus
  }
}

/// The args of the hook `update_graph`.
struct UpdateGraphCall {
  var client: String?
  var keys: [Key] = []
  var tasks: [Key] = []
  var annotations: Value?
  var priority = OrderedMap<Key, Priority>()
  /// All other args.
  var rest = Args.Content()

  init(_ args: Args.Content) {
    func keys(_ name: String) -> [Key] { (args[name]?.elements ?? []).compactMap(Key.init) }
    client = args["client"]?.string
    self.keys = keys("keys")
    tasks = keys("tasks")
    annotations = args["annotations"]
    if case .dict(let entries)? = args["priority"] {
      for entry in entries {
        if let key = Key(entry.key) { priority[key] = Priority(entry.value) }
      }
    }
    rest = args
    let fixed = ["client", "keys", "tasks", "annotations", "priority"]
    rest.named.removeAll { fixed.contains($0.name) }
  }

  init?(fast json: EncodedJSON) {
    let call = JSONReader.read(json) { reader throws(JSONError) in
      var call = UpdateGraphCall(Args.Content())
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "client": call.client = try reader.text()
        case "keys": call.keys = try reader.keys()
        case "tasks": call.tasks = try reader.keys()
        case "annotations": call.annotations = try reader.anyValue()
        case "priority":
          call.priority = OrderedMap()
          call.priority.reserveCapacity(call.tasks.count)
          try reader.entries { (reader, key) throws(JSONError) in
            call.priority[key] = try reader.priority()
          }
        default: call.rest.named.append(Args.Argument(name.text, try reader.anyValue()))
        }
      }
      return call
    }
    guard let call else { return nil }
    self = call
  }
}
