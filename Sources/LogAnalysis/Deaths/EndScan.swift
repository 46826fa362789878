import EventLog
import LogFormat
import TaskLogPlugin

/// Collects what the events of a run say about the ends of its workers.
struct EndScan {
  /// The hooks whose events say something; those of `logEvent` only with some actions.
  private static let hooks: [Hook] = [
    .addWorker, .removeWorker, .logEvent, .setup, .teardown, .request, .nanny, .beforeClose,
    .manager,
  ]
  private static let actions = [
    "closing-worker", "close-worker", "retired", "remove-worker", "worker-ttl-timed-out",
  ]
  private static let memoryTopic = "worker-restart-memory"
  /// The samples of memory before an end, and the events among which they are searched.
  private static let mostSamples = 20
  private static let searchedForSamples = 200_000

  private let reader: LogReader
  private let run: RunInfo
  private let lives: WorkerLives
  private var evidence: [EndEvidence]
  /// By index of a worker: what the scheduler's own event said of its removal.
  private var removals: [Int: (stimulus: String?, isExpected: Bool?)] = [:]
  private var nannies: Set<String> = []
  private var nannyOf: [Int: String] = [:]
  /// What workers, by their indexes, and nannies told about their processes.
  private var identities: [Int: HostIdentity] = [:]
  private var nannyIdentities: [String: HostIdentity] = [:]

  init(_ reader: LogReader, _ run: RunInfo, _ lives: WorkerLives) throws {
    (self.reader, self.run, self.lives) = (reader, run, lives)
    evidence = lives.lives.map { _ in EndEvidence() }
  }

  /// - Parameter most: the maximum number of keys of each kind.
  mutating func ends(most: Int) throws -> [WorkerEnd] {
    try readFacts()
    var removals = try RemovalReader(reader)
    var ends: [WorkerEnd] = []
    for (index, life) in lives.lives.enumerated() {
      guard let gone = life.gone else { continue }
      var known = evidence[index]
      if let nanny = nannyOf[index] {
        known.hasNanny = !nanny.isEmpty
        known.isNannyRecorded = nannies.contains(nanny)
      }
      known.memory = try samples(life, before: gone.seq)
      known.left = gone.time
      known.identity = identity(of: index)
      known.hostRestart = hostRestart(known.identity, after: gone.seq)
      var end = WorkerEnd(
        address: life.address, life: life.number, name: life.name, seq: gone.seq, time: gone.time)
      end.evidence = known
      end.verdict = known.verdict
      try end.add(removals.effects(of: gone.seq)?.effects ?? [], reader, most: most)
      ends.append(end)
    }
    return ends.sorted { ($0.seq, $0.address) < ($1.seq, $1.address) }
  }

  // MARK: - Facts

  private mutating func readFacts() throws {
    guard let first = run.firstSeq, let last = run.lastSeq else { return }
    let isIndexed = try reader.storedTaskCount(of: run) != nil
    let names = Self.hooks.map(\.name).map { "'\($0)'" }
    let actions = Self.actions.map { "'\($0)'" }.joined(separator: ", ")
    let select = try reader.connection.prepare(
      """
      SELECT event.seq, event.time, hook.text, source.id, event.stimulus, event.worker,
        CASE hook.text WHEN 'addWorker' THEN NULL ELSE event.args END,
        event.snapshot ->> '$.worker.nanny', event.snapshot ->> '$.worker.memoryLimit',
        json_type(event.snapshot, '$.worker.nanny')
      FROM \(isIndexed ? "hook_event JOIN event ON event.seq = hook_event.seq" : "event")
      JOIN text AS hook ON hook.id = \(isIndexed ? "hook_event" : "event").hook
      JOIN source ON source.id = event.source
      WHERE event.seq BETWEEN ?1 AND ?2 AND source.run = ?3
        AND hook.text IN (\(names.joined(separator: ", ")))
        AND (hook.text != 'logEvent' OR event.args ->> '$.topic' = '\(Self.memoryTopic)'
          OR event.args ->> '$.message.action' IN (\(actions)))
      ORDER BY event.seq
      """)
    for (index, value) in [first, last, run.number].enumerated() {
      try select.bind(Int32(index + 1), value)
    }
    while try select.step() {
      let hook = Hook(select.text(2))
      let args = select.optionalText(6).flatMap { try? JSONReader.value($0) } ?? .null
      let event = Row(
        seq: select.integer(0), time: select.integer(1), source: select.integer(3),
        stimulus: try select.optionalInteger(4).flatMap { try reader.texts.element($0) },
        worker: try select.optionalInteger(5).flatMap { try reader.texts.element($0) }, args: args)
      switch hook {
      case .addWorker, .setup:
        let life =
          hook == .setup
          ? lives.place(ofSource: event.source)
          : event.worker.flatMap { lives.place($0, at: event.seq) }
        guard let life else { continue }
        // Empty for a worker without a nanny; engines without nannies do not say.
        if select.optionalText(9) != nil { nannyOf[life] = select.optionalText(7) ?? "" }
        if let limit = select.optionalInteger(8) { evidence[life].memoryLimit = limit }
        if hook == .setup {
          identities[life] = HostIdentity(seq: event.seq, args, isOfNanny: false)
        }
      case .removeWorker: removed(event)
      case .logEvent: logged(event)
      case .request: requested(event)
      case .nanny: nannySaid(event)
      case .beforeClose: closing(event, byClient: false, reason: nil)
      case .teardown:
        guard let life = lives.place(ofSource: event.source) else { continue }
        add(.teardown(signal: args["signal"]?.int), event, to: life)
      case .manager:
        guard let fact = ManagerFact(args) else { continue }
        add(.manager(fact), event, to: place(named: args, event.worker))
      default: break
      }
    }
  }

  private struct Row {
    var seq: Int64
    var time: Int64
    var source: Int64
    var stimulus: String?
    var worker: String?
    var args: Value
  }

  private mutating func add(_ kind: EndFact.Kind, _ row: Row, to life: Int?) {
    if let life { evidence[life].facts.append(EndFact(row.seq, row.time, kind)) }
  }

  private func place(_ address: String?, _ row: Row) -> Int? {
    address.flatMap { lives.place($0, at: row.seq) }
  }

  private mutating func removed(_ row: Row) {
    guard let life = place(row.worker, row) else { return }
    let logged = removals[life]
    add(
      .removed(stimulus: row.stimulus ?? logged?.stimulus, isExpected: logged?.isExpected), row,
      to: life)
  }

  private mutating func logged(_ row: Row) {
    let (topic, message) = (row.args["topic"]?.string, row.args["message"] ?? .null)
    if topic == Self.memoryTopic {
      let life = place(message["worker"]?.string, row)
      return add(.memoryLimit(bytes: message["rss"]?.int), row, to: life)
    }
    let stimulus = message["stimulus_id"]?.string
    switch message["action"]?.string {
    case "closing-worker":
      add(.closing(reason: message["reason"]?.string ?? ""), row, to: place(topic, row))
    case "close-worker": add(.closeRequested, row, to: place(topic, row))
    case "retired": add(.retired(stimulus: stimulus), row, to: place(topic, row))
    case "remove-worker":
      // Logged twice: for the worker, and for the topic `all`.
      if let life = place(topic, row) { removals[life] = (stimulus, message["expected"]?.bool) }
    case "worker-ttl-timed-out":
      for worker in message["workers"]?.elements ?? [] {
        add(
          .heartbeatTimeout(seconds: message["ttl"]?.number), row,
          to: place(worker.string, row))
      }
    default: break
    }
  }

  private mutating func requested(_ row: Row) {
    switch row.args["op"]?.string {
    case "terminate": closing(row, byClient: true, reason: row.args["reason"]?.string)
    case "close": closing(row, byClient: false, reason: row.args["reason"]?.string)
    case "restart": for life in present(row) { add(.restartRequested, row, to: life) }
    case "restart-workers":
      for life in present(row, named: row.args["workers"]) {
        add(.restartRequested, row, to: life)
      }
    case "workers-to-close":
      for life in present(row, named: row.args["workers"]) {
        add(.scaledDown, row, to: life)
      }
    default: break
    }
  }

  private mutating func closing(_ row: Row, byClient: Bool, reason: String?) {
    for life in present(row) {
      add(.schedulerClosing(byClient: byClient, reason: reason), row, to: life)
    }
  }

  /// The workers that had not left, by their names or addresses.
  private func present(_ row: Row, named: Value? = nil) -> [Int] {
    let names = named.map { names in
      Set((names.elements ?? []).map { $0.string ?? JSONWriter.text($0) })
    }
    return lives.lives.indices.filter { index in
      let life = lives.lives[index]
      guard life.number > 0, life.joined ?? .min <= row.time, row.seq < life.gone?.seq ?? .max
      else { return false }
      guard let names else { return true }
      let name = (try? JSONReader.value(life.name))?.string ?? life.name
      return names.contains(life.address) || names.contains(name)
    }
  }

  private mutating func nannySaid(_ row: Row) {
    if let nanny = row.args["nanny"]?.string { nannies.insert(nanny) }
    let life = place(row.worker, row)
    switch row.args["op"]?.string {
    case "setup":
      guard let nanny = row.args["nanny"]?.string else { return }
      nannyIdentities[nanny] = HostIdentity(seq: row.seq, row.args, isOfNanny: true)
    case "kill": add(.nannyKill(reason: row.args["reason"]?.string ?? ""), row, to: life)
    case "exit":
      guard let code = row.args["exitcode"]?.int else { return }
      let kills = row.args["outOfMemoryKills"]?.int
      add(.nannyExit(code: code, outOfMemoryKills: kills), row, to: life)
    default: break
    }
  }

  // MARK: - What it did, and what was lost

  private func samples(_ life: WorkerLife, before seq: Int64) throws -> [MemorySample] {
    let select = try reader.connection.prepare(
      """
      SELECT seq, time, tasklog_args(args, time) ->> '$.metrics.memory' FROM (
        SELECT seq, time, hook, worker, args FROM event WHERE seq < ?1 AND seq >= ?2
        ORDER BY seq DESC LIMIT \(Self.searchedForSamples))
      WHERE hook = (SELECT id FROM text WHERE text = 'heartbeat')
        AND worker = (SELECT id FROM text WHERE text = ?3)
      LIMIT \(Self.mostSamples)
      """)
    try select.bind(1, seq)
    try select.bind(2, life.firstSeq)
    try select.bind(3, life.address)
    var samples: [MemorySample] = []
    while try select.step() {
      guard let bytes = select.optionalInteger(2) else { continue }
      samples.append(MemorySample(select.integer(0), select.integer(1), bytes))
    }
    return samples.reversed()
  }

  // MARK: - Identities

  /// The workers, and what managers know them by.
  mutating func identified() throws -> [IdentifiedWorker] {
    try readFacts()
    return try lives.lives.enumerated().map { index, life in
      IdentifiedWorker(
        address: life.address, life: life.number, serverID: life.serverID, name: life.name,
        identity: identity(of: index), joined: life.joined, left: life.gone?.time,
        lastSeen: try life.gone.flatMap { try samples(life, before: $0.seq).last?.time })
    }
  }

  /// What it recorded itself, else its nanny: that is a process of the same pod or job.
  private func identity(of index: Int) -> HostIdentity? {
    identities[index] ?? nannyOf[index].flatMap { nannyIdentities[$0] }
  }

  /// The worker that an imported event is about: its address may have been used again since.
  private func place(named args: Value, _ address: String?) -> Int? {
    let (id, number) = (args["server_id"]?.string, args["life"]?.int)
    return lives.lives.firstIndex { life in
      guard life.address == address else { return false }
      if let id, let known = life.serverID { return known == id }
      return life.number == number
    }
  }

  /// The first event that reports another start of a host.
  private func hostRestart(_ own: HostIdentity?, after seq: Int64) -> Int64? {
    guard let host = own?.host, let boot = own?.bootID else { return nil }
    return [identities.values.map(\.self), nannyIdentities.values.map(\.self)].joined()
      .filter { $0.seq > seq && $0.host == host && $0.bootID.map { $0 != boot } ?? false }
      .map(\.seq).min()
  }
}
