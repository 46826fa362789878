import LogFormat
import TaskLogPlugin

/// Args and snapshot of an event as JSON in the log's format.
package struct CachedJSON {
  var args: UnsafeRawBufferPointer?
  var snapshot: UnsafeRawBufferPointer?

  package init(args: UnsafeRawBufferPointer?, snapshot: UnsafeRawBufferPointer?) {
    (self.args, self.snapshot) = (args, snapshot)
  }

  /// Copies both to the end of the writer's output and returns their ranges there.
  fileprivate func copied(
    to json: inout JSONWriter
  ) -> (args: Range<Int>?, snapshot: Range<Int>?) {
    func copy(_ text: UnsafeRawBufferPointer?) -> Range<Int>? {
      guard let text else { return nil }
      let start = json.output.count
      json.write(json: text)
      return start..<json.output.count
    }
    return (copy(args), copy(snapshot))
  }
}

/// Inserts events from the format of a spool into their table: from MessagePack to row IDs and
/// JSON, with no intermediate values for what is already interned.
///
/// Belongs to one `LogWriter`; used inside its transactions.
final class EventInserter {
  private let connection: Connection
  private let insertText: Statement
  private let findText: Statement
  private let insertKey: Statement
  private let findKey: Statement
  // One thread at a time: the checks for exclusive access would only cost time.
  @exclusivity(unchecked) private var texts = InternTable(limit: 64 << 20)
  @exclusivity(unchecked) private var keys = InternTable(limit: 128 << 20)
  /// Row IDs by index in `Hook.known` and `State.known`; 0 if the ID is not known yet.
  @exclusivity(unchecked) private var hooks = [Int64](repeating: 0, count: Hook.known.count)
  @exclusivity(unchecked) private var states = [Int64](repeating: 0, count: State.known.count)
  private let rows: PendingRows
  private let derived: DerivedTables
  /// Seqs of events that derived tables may need, once these are in the file.
  @exclusivity(unchecked) private var noted: [Int64] = []
  /// By index in `Hook.known`.
  private static let isRelevant = Hook.known.map(DerivedTables.isRelevant)
  /// What the last inserted event says about workers.
  @exclusivity(unchecked) private(set) var news = WorkerTaskChange.none
  /// What the totals need of the event that was inserted last.
  @exclusivity(unchecked) private(set) var measure = EventMeasure()
  /// The events of rare hooks that are not in `hook_event` yet.
  @exclusivity(unchecked) private var rare: [(hook: Int64, seq: Int64)] = []
  private static let isFrequent = Hook.known.map(StoredTotals.frequentHooks.contains)
  private let insertRare: Statement
  /// The index of the hook in `Hook.known`; `nil` for a hook that this version does not know.
  @exclusivity(unchecked) private var hookIndex: Int?
  private let heartbeats: HeartbeatPacker
  private let blobs: BlobInterner
  /// Whether the event that is being inserted is a heartbeat.
  @exclusivity(unchecked) private var isHeartbeat = false

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection) throws {
    self.connection = connection
    insertText = try connection.prepare(
      "INSERT INTO text (text) VALUES (?) ON CONFLICT DO NOTHING")
    findText = try connection.prepare("SELECT id FROM text WHERE text = ?")
    insertKey = try connection.prepare(
      """
      INSERT INTO key (text, typed, prefix, key_group) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
      """)
    findKey = try connection.prepare("SELECT id FROM key WHERE text = ? AND typed = ?")
    let blobs = try BlobInterner(connection)
    self.blobs = blobs
    rows = try PendingRows(
      connection,
      json: JSONWriter(
        intern: { bytes in bytes.count > 256 ? try blobs.intern(bytes) : nil },
        isStored: { try blobs.contains($0) }))
    derived = try DerivedTables(connection)
    insertRare = try connection.prepare("INSERT INTO hook_event (hook, seq) VALUES (?, ?)")
    heartbeats = try HeartbeatPacker(connection, blobs)
  }

  /// Inherits the large values of the previous segment, which events of this one may refer to.
  func inheritBlobs(from other: EventInserter) { blobs.inherit(from: other.blobs) }

  /// Called when row IDs in memory may differ from those in the file, and pending rows belong to a
  /// transaction that was rolled back.
  func forgetNumbers() {
    rows.removeAll()
    noted.removeAll()
    rare.removeAll()
    derived.forget()
    texts.forgetAll()
    keys.forgetAll()
    heartbeats.forgetAll()
    blobs.forgetAll()
    for place in hooks.indices { hooks[place] = 0 }
    for place in states.indices { states[place] = 0 }
  }

  /// Inserts an event, at the latest with the next `flush`.
  ///
  /// - Parameter texts: args and snapshot if they are JSON in the log's format already; the event
  ///   itself has none then.
  /// - Throws: `MessagePackError` if the event cannot be read, in which case nothing of it is in
  ///   the table; `SQLiteError`.
  func insert(
    _ event: EncodedEvent, seq: Int64, source: Int64, sourceSeq: Int64, texts: CachedJSON? = nil
  ) throws {
    let start = rows.json.output.count
    rows.json.forgetShared()
    do {
      var fields = event.fields
      let isRelevant = Self.isRelevant(fields)
      rows.set(0, seq)
      rows.set(1, source)
      rows.set(2, sourceSeq)
      rows.set(3, event.time)
      let hook = try self.hook(&fields)
      rows.set(4, hook)
      measure.isKeyNew = false
      let key = try key(&fields)
      rows.set(5, key)
      let (from, to) = (try state(&fields), try state(&fields))
      rows.set(6, from)
      rows.set(7, to)
      rows.set(8, try text(&fields))
      let worker = try self.text(&fields)
      rows.set(9, worker)
      rows.set(10, try fields.takeNil() ? nil : fields.integer())
      news = findTaskChange(of: hook, from, to, worker, texts?.args ?? fields.rest)
      (measure.hook, measure.key) = (hook, key)
      measure.isFailure =
        hook == hooks[Self.transition] && to == states[Self.erred] && from != to
      if let texts {
        if isHeartbeat, let args = texts.args, texts.snapshot == nil,
          let packed = try heartbeats.pack(Array(args), time: event.time)
        {
          rows.json.raw(packed)
          return try add(seq, args: start..<rows.json.output.count, snapshot: nil)
        }
        let (args, snapshot) = texts.copied(to: &rows.json)
        if isRelevant { note(seq, event, args) }
        return try add(seq, args: args, snapshot: snapshot)
      }
      let hasArgs = try !fields.takeNil() && fields.writeArgs(to: &rows.json)
      if isHeartbeat, hasArgs { try packHeartbeat(from: start, time: event.time) }
      let middle = rows.json.output.count
      let hasSnapshot = try !fields.takeNil() && fields.arrayCount() == 1
      if hasSnapshot { try fields.write(to: &rows.json) }
      if isRelevant { note(seq, event, hasArgs ? start..<middle : nil) }
      try add(
        seq, args: hasArgs ? start..<middle : nil,
        snapshot: hasSnapshot ? middle..<rows.json.output.count : nil)
    } catch let error as MessagePackError {
      rows.json.truncate(to: start)
      throw error
    }
  }

  /// Completes a row.
  @inline(__always)
  private func add(_ seq: Int64, args: Range<Int>?, snapshot: Range<Int>?) throws {
    (measure.argsBytes, measure.snapshotBytes) = (args?.count ?? 0, snapshot?.count ?? 0)
    measure.marks = ValueMarks()
    rows.json.output.withUnsafeBytes { bytes in
      if let args { measure.marks.scan(UnsafeRawBufferPointer(rebasing: bytes[args])) }
      if let snapshot { measure.marks.scan(UnsafeRawBufferPointer(rebasing: bytes[snapshot])) }
    }
    if hookIndex.map({ !Self.isFrequent[$0] }) ?? true { rare.append((measure.hook, seq)) }
    try rows.add(args: args, snapshot: snapshot)
  }

  /// - Parameter args: the args, and the bytes after them.
  @inline(__always)
  private func findTaskChange(
    of hook: Int64, _ start: Int64?, _ finish: Int64?, _ worker: Int64?,
    _ args: UnsafeRawBufferPointer
  ) -> WorkerTaskChange {
    if hook == hooks[Self.transition] {
      guard let start, let finish else { return .none }
      return changeAtEnd(start, finish, worker)
    }
    guard let worker else { return .none }
    if hook == hooks[Self.addWorker] { return .joined(worker) }
    guard hook == hooks[Self.stimulus], args.hasNear("remove-worker") else { return .none }
    return .removed(worker)
  }

  /// Whether a task comes to memory or errs: at the scheduler from processing, at its worker from a
  /// state of work.
  @inline(__always)
  private func changeAtEnd(_ start: Int64, _ finish: Int64, _ worker: Int64?) -> WorkerTaskChange {
    if start == states[Self.processing] {
      guard let worker, finish == states[Self.memory] || finish == states[Self.erred] else {
        return .none
      }
      return .ended(on: worker)
    }
    guard start == states[Self.executing] || start == states[Self.longRunning],
      finish == states[Self.memory] || finish == states[Self.error]
    else { return .none }
    return .endedHere
  }

  // Indexes in `Hook.known` and `State.known`.
  private static let (addWorker, transition, stimulus) = (5, 13, 16)
  private static let (processing, memory, erred) = (4, 5, 6)
  private static let (executing, longRunning, error) = (10, 11, 18)

  /// Stores the bytes that the JSON of another log refers to.
  ///
  /// - Throws: `SQLiteError`.
  func copyBlobs(of json: EncodedJSON) throws {
    for hash in BlobHashes.all(in: json.text) {
      guard let bytes = json.blob(hash: hash) else { continue }
      try blobs.put(bytes, hash)
    }
  }

  /// Inserts the pending rows.
  ///
  /// - Throws: `SQLiteError`.
  func flush() throws {
    try rows.flush()
    for (hook, seq) in rare {
      try insertRare.bind(1, hook)
      try insertRare.bind(2, seq)
      try insertRare.run()
    }
    rare.removeAll(keepingCapacity: true)
    guard !noted.isEmpty else { return }
    for seq in noted { try derived.take(seq) }
    noted.removeAll()
  }

  private static func isRelevant(_ fields: MessagePackReader) -> Bool {
    var fields = fields
    guard !fields.isText, let place = try? Int(clamping: fields.integer()),
      isRelevant.indices.contains(place)
    else { return false }
    return isRelevant[place]
  }

  /// Of all kinds of marks only two are relevant.
  private func note(_ seq: Int64, _ event: EncodedEvent, _ args: Range<Int>?) {
    var fields = event.fields
    let hook = (try? fields.integer()).map { Hook.at($0) }
    // Only a move to a worker that steals has a key.
    if hook == .logEvent, fields.takeNil() { return }
    if hook == .stimulus {
      guard let args else { return }
      let text = rows.json.output[args]
      guard
        text.starts(with: DerivedTables.clockOffset) || text.starts(with: DerivedTables.moveTask)
      else { return }
    }
    noted.append(seq)
  }

  /// Packs the args that were just written.
  private func packHeartbeat(from start: Int, time: Int64) throws {
    guard let packed = try heartbeats.pack(Array(rows.json.output[start...]), time: time) else {
      return
    }
    rows.json.truncate(to: start)
    rows.json.raw(packed)
  }

  private func hook(_ fields: inout MessagePackReader) throws -> Int64 {
    if fields.isText {
      let name = try fields.text()
      isHeartbeat = name.elementsEqual(Hook.heartbeat.name.utf8)
      let id = try id(name)
      hookIndex = Hook(String(decoding: name, as: UTF8.self)).place
      if let hookIndex { hooks[hookIndex] = id }
      return id
    }
    let place = try fields.integer()
    isHeartbeat = place == Int64(Hook.heartbeat.place ?? -1)
    hookIndex = hooks.indices.contains(Int(clamping: place)) ? Int(place) : nil
    guard hookIndex != nil else { return try id(Hook.at(place).name) }
    if hooks[Int(place)] == 0 { hooks[Int(place)] = try id(Hook.at(place).name) }
    return hooks[Int(place)]
  }

  private func state(_ fields: inout MessagePackReader) throws -> Int64? {
    if fields.takeNil() { return nil }
    if fields.isText {
      let name = try fields.text()
      let id = try id(name)
      if let index = State(String(decoding: name, as: UTF8.self)).knownIndex { states[index] = id }
      return id
    }
    let place = try fields.integer()
    guard states.indices.contains(Int(clamping: place)) else {
      return try id(State.at(place).name)
    }
    if states[Int(place)] == 0 { states[Int(place)] = try id(State.at(place).name) }
    return states[Int(place)]
  }

  private func text(_ fields: inout MessagePackReader) throws -> Int64? {
    try fields.takeNil() ? nil : id(fields.text())
  }

  private func id(_ text: String) throws -> Int64 {
    var text = text
    return try text.withUTF8 { try id(UnsafeRawBufferPointer($0)) }
  }

  private func id(_ text: UnsafeRawBufferPointer) throws -> Int64 {
    try texts.id(text) { bytes in
      try number(insertText, findText) { statement in
        if bytes.isUTF8 {
          try statement.bind(1, unmovedText: bytes)
        } else {
          try statement.bind(1, String(decoding: bytes, as: UTF8.self))
        }
      }
    }
  }

  private func key(_ fields: inout MessagePackReader) throws -> Int64? {
    if fields.takeNil() { return nil }
    let start = fields.position
    try fields.skipKey()
    return try keys.id(fields.slice(start, fields.position)) { bytes in
      var reader = MessagePackReader(bytes)
      let key = try reader.key()
      try insertKey.bind(3, id(key.prefix))
      try insertKey.bind(4, id(key.group))
      let id = try number(insertKey, findKey) {
        try $0.bind(1, key.text)
        try $0.bind(2, key.typed)
      }
      measure.isKeyNew = isInserted
      return id
    }
  }

  /// Whether the last `number` was inserted.
  @exclusivity(unchecked) private var isInserted = false

  /// The ID of a row, which is inserted if it is not there.
  private func number(
    _ insert: Statement, _ find: Statement, _ bind: (Statement) throws -> Void
  ) throws -> Int64 {
    try bind(insert)
    try insert.run()
    isInserted = connection.changes == 1
    if isInserted { return connection.lastInsertRowID }
    defer { find.reset() }
    try bind(find)
    try find.step()
    return find.integer(0)
  }
}
