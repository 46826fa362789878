import TaskLogPlugin

/// A worker of a run. Earlier and later workers at its address are different ones.
package struct WorkerLife: Sendable {
  package var address: String
  /// 1 for the first worker at its address; 0 for a worker that is known only from its own events
  /// although the scheduler has recorded others.
  package var number: Int64
  /// From this event of the scheduler on, its address means this worker.
  package var firstSeq: Int64
  package var serverID: String?
  /// JSON.
  package var name: String
  package var nthreads: Int64?
  /// Its source, if it was recorded itself.
  package var source: Int64?
  /// By the scheduler's clock, in nanoseconds since 1970 UTC.
  package var joined: Int64?
  package var left: Int64?
  /// The event by which it left or closed, and the time of that by the scheduler's clock.
  package var gone: (seq: Int64, time: Int64)?
}

/// The workers of a run, and which of them an address means: the same distinction as in the view
/// `workers`.
package struct WorkerLives: Sendable {
  package private(set) var lives: [WorkerLife] = []
  /// By address, in the order of joining.
  private var byAddress: [String: [Int]] = [:]
  private var bySource: [Int64: Int] = [:]

  package init() {}

  mutating func add(_ life: WorkerLife) {
    // What the scheduler says about an address is never about a worker that it has not recorded.
    if life.number > 0 { byAddress[life.address, default: []].append(lives.count) }
    if let source = life.source { bySource[source] = lives.count }
    lives.append(life)
  }

  /// The index of the worker that the scheduler's event meant by an address.
  package func place(_ address: String, at seq: Int64) -> Int? {
    guard let places = byAddress[address] else { return nil }
    if places.count == 1 { return places[0] }
    return places.last { lives[$0].firstSeq <= seq } ?? places[0]
  }

  /// The index of the worker that is a source.
  package func place(ofSource source: Int64) -> Int? { bySource[source] }

  /// Which of the workers at an address the scheduler's event meant, numbered as in the views.
  package func number(_ address: String, at seq: Int64) -> Int64 {
    place(address, at: seq).map { lives[$0].number } ?? 1
  }

  package func number(ofSource source: Int64) -> Int64 {
    bySource[source].map { lives[$0].number } ?? 1
  }

  /// Whether two workers had the same address.
  package var hasSeveralAtOneAddress: Bool { byAddress.contains { $0.value.count > 1 } }

  /// The name of a worker where only addresses are shown: one that is not the first at its address
  /// has its number appended.
  package func label(_ place: Int) -> String {
    Self.label(lives[place].address, lives[place].number)
  }

  package static func label(_ address: String, _ number: Int64) -> String {
    number > 1 ? "\(address) (\(number))" : address
  }
}

extension LogReader {
  /// The workers of a run.
  ///
  /// - Throws: `LogError`.
  package func workerLives(of run: RunInfo) throws -> WorkerLives {
    try translating {
      try makeDerivedTables()
      let select = try connection.prepare(
        """
        SELECT known.worker, known.life, known.first_seq, known.server_id,
          coalesce(source.name, known.name, 'null'), known.nthreads, source.id, known.joined_ns,
          known.left_ns, known.gone_seq, known.gone_ns
        FROM worker_life AS known
        LEFT JOIN source ON source.run = known.run AND source.server_id = known.server_id
          AND source.kind = 'worker' AND source.address = known.worker
        WHERE known.run = ?1
        UNION ALL
        SELECT address,
          coalesce((SELECT 0 FROM worker_life WHERE worker_life.run = source.run
            AND worker_life.worker = source.address LIMIT 1), 1),
          0, server_id, name, NULL, id, NULL, NULL, NULL, NULL FROM source
        WHERE run = ?1 AND kind = 'worker' AND NOT EXISTS (
          SELECT 1 FROM worker_life WHERE worker_life.run = source.run
            AND worker_life.worker = source.address AND worker_life.server_id = source.server_id)
        ORDER BY 1, 3, 7
        """)
      try select.bind(1, run.number)
      var lives = WorkerLives()
      while try select.step() {
        let gone = select.optionalInteger(9)
        lives.add(
          WorkerLife(
            address: select.text(0), number: select.integer(1), firstSeq: select.integer(2),
            serverID: select.optionalText(3), name: select.text(4),
            nthreads: select.optionalInteger(5), source: select.optionalInteger(6),
            joined: select.optionalInteger(7), left: select.optionalInteger(8),
            gone: gone.map { ($0, select.integer(10)) }))
      }
      return lives
    }
  }

  /// A log of an older format has none of these tables: they are built for this reader.
  func makeDerivedTables() throws {
    guard !hasDerivedTables else { return }
    hasDerivedTables = true
    try DerivedTables.makeTemporary(connection)
  }
}
