/// The facts of a log's args and snapshots, read without making values of them.
///
/// Each initializer gives nothing where the text is not as it is usually written; then the values
/// tell. That both mean the same is tested.

extension Snapshot {
  /// What a task or a graph comes with.
  init?(quickly json: EncodedJSON) {
    let snapshot: Snapshot? = JSONReader.read(json) { reader throws(JSONError) in
      var snapshot: Snapshot?
      try reader.fields { (reader, name) throws(JSONError) in
        guard snapshot == nil else { throw reader.unusual() }
        switch name {
        case "task": snapshot = .task(try TaskSnapshot(&reader))
        case "graph":
          var tasks: [GraphTask] = []
          try reader.elements { reader throws(JSONError) in
            tasks.append(try GraphTask(&reader, after: tasks.last))
          }
          snapshot = .graph(tasks)
        default: throw reader.unusual()
        }
      }
      guard let snapshot else { throw reader.unusual() }
      return snapshot
    }
    guard let snapshot else { return nil }
    self = snapshot
  }
}

extension TaskSnapshot {
  fileprivate init(_ reader: inout JSONReader) throws(JSONError) {
    var facts = TaskSnapshot()
    try reader.fields { (reader, name) throws(JSONError) in
      switch name {
      case "nbytes": facts.nbytes = try reader.integer()
      case "typeName": facts.typeName = try reader.text()
      case "exceptionText": facts.exceptionText = try reader.text()
      case "tracebackText": facts.tracebackText = try reader.text()
      case "startStops": facts.startStops = try reader.startStops()
      case "comingFrom": facts.comingFrom = try reader.text()
      case "cause": facts.cause = try reader.key()
      case "retries": facts.retries = try reader.integer().flatMap { Int(exactly: $0) }
      case "suspicious": facts.suspicious = try reader.integer().flatMap { Int(exactly: $0) }
      case "previous": facts.previous = try reader.text().map { State($0) }
      case "state": facts.state = try reader.text().map { State($0) }
      case "counter": facts.counter = try reader.integer()
      default: try reader.skipValue()
      }
    }
    self = facts
  }
}

extension GraphTask {
  fileprivate init(_ reader: inout JSONReader, after last: GraphTask?) throws(JSONError) {
    var key: Key?
    var facts = GraphTask(key: last?.key ?? "")
    try reader.fields { (reader, name) throws(JSONError) in
      switch name {
      case "key": key = try reader.key(after: last?.key)
      case "dependencies": facts.dependencies = try reader.keys()
      case "priority": facts.priority = try reader.priority()
      case "annotations":
        if case .dict(let entries) = try reader.anyValue() { facts.annotations = entries }
      case "retries": facts.retries = try reader.integer().flatMap { Int(exactly: $0) } ?? 0
      case "workerRestrictions": facts.workerRestrictions = try reader.texts()
      case "looseRestrictions": facts.looseRestrictions = try reader.anyValue().bool ?? false
      case "resourceRestrictions":
        facts.resourceRestrictions = Resource.list(try reader.anyValue())
      default: try reader.skipValue()
      }
    }
    guard let key else { throw reader.unusual() }
    facts.key = key
    self = facts
  }
}

extension ClientKeys {
  init?(quickly json: EncodedJSON) {
    let facts = JSONReader.read(json) { reader throws(JSONError) in
      var client: String?
      var keys: [Key] = []
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "client": client = try reader.text()
        case "keys": keys = try reader.keys()
        default: try reader.skipValue()
        }
      }
      guard let client else { throw reader.unusual() }
      return ClientKeys(client: client, keys: keys)
    }
    guard let facts else { return nil }
    self = facts
  }
}

/// What processing → memory tells that changes the state.
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
  ///   - worker: nearly always the one that is meant.
  ///   - typeName: often the one.
  init?(quickly json: EncodedJSON, worker: String?, typeName: String?) {
    let facts = JSONReader.read(json) { reader throws(JSONError) in
      var facts = StoredResult(Args.Content())
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "worker": facts.worker = try reader.text(like: worker)
        case "nbytes": facts.nbytes = try reader.integer()
        case "typename": facts.typeName = try reader.text(like: typeName)
        case "startstops": facts.startStops = try reader.startStops()
        default: try reader.skipValue()
        }
      }
      return facts
    }
    guard let facts else { return nil }
    self = facts
  }
}

/// What a worker is told of a task that it is to run, and of what that needs.
struct ComputeStimulus {
  var facts: ComputeRequest
  /// Sizes of what may have to be fetched, which Dask tells.
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

  /// Nothing also where the stimulus is another one.
  init?(quickly json: EncodedJSON) {
    let stimulus = JSONReader.read(json) { reader throws(JSONError) in
      var stimulus = ComputeStimulus(Args.Content())
      var isCompute = false
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "op":
          guard try reader.text(like: "compute-task") == "compute-task" else {
            throw reader.unusual()
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
          try reader.entries { (reader, key) throws(JSONError) in
            stimulus.sizes.append((key, try reader.integer()))
          }
        case "annotations":
          if case .dict(let entries) = try reader.anyValue() {
            stimulus.facts.annotations = entries
          }
        case "resource_restrictions":
          stimulus.facts.resourceRestrictions = Resource.list(try reader.anyValue())
        default: try reader.skipValue()
        }
      }
      guard isCompute else { throw reader.unusual() }
      return stimulus
    }
    guard let stimulus else { return nil }
    self = stimulus
  }
}

/// What the hook `update_graph` is called with.
struct UpdateGraphCall {
  var client: String?
  var keys: [Key] = []
  var tasks: [Key] = []
  var annotations: Value?
  var priority = OrderedMap<Key, Priority>()
  /// What else there is.
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

  init?(quickly json: EncodedJSON) {
    let call = JSONReader.read(json) { reader throws(JSONError) in
      var call = UpdateGraphCall(Args.Content())
      try reader.fields { (reader, name) throws(JSONError) in
        switch name {
        case "client": call.client = try reader.text()
        case "keys": call.keys = try reader.keys()
        case "tasks": call.tasks = try reader.keys()
        case "annotations": call.annotations = try reader.anyValue()
        case "priority":
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
