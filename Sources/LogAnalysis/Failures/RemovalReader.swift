import EventLog
import LogFormat

/// Reads what the removal of a worker did to tasks: the transitions of its stimulus between the two
/// events of the scheduler about it.
struct RemovalReader {
  struct Effect {
    enum Kind {
      /// A task that was assigned to the worker.
      case unassigned
      /// A result of which it had the only copy, and which must be computed again.
      case lost
      /// A result of which it had the only copy, and which is forgotten with others.
      case lostForgotten
      case forgotten
    }

    var kind: Kind
    /// A row ID.
    var key: Int64
    /// The size of the lost data, if there was any and it is known.
    var bytes: Int64?
  }

  /// What is known of a removal.
  struct Removal {
    /// `nil` if the log does not say.
    var isExpected: Bool?
    /// Whether the log has the event that began it; older ones have not.
    var hasCause = false
    var isWanted = false
    var effects: [Effect] = []
  }

  /// The number of events before a removal among which its cause is searched: those between the two
  /// are of the tasks of the worker.
  private static let searchedForCause = 1_000_000

  private let removal: Statement
  private let cause: Statement
  private let caused: Statement

  /// - Throws: `SQLiteError`.
  init(_ reader: LogReader) throws {
    let connection = reader.connection
    removal = try connection.prepare(
      """
      SELECT source, stimulus, worker FROM event
      WHERE seq = ? AND stimulus IS NOT NULL AND worker IS NOT NULL
      """)
    cause = try connection.prepare(
      """
      SELECT seq, args ->> '$.expected' FROM (
        SELECT seq, source, worker, hook, args FROM event WHERE seq < ?1
        ORDER BY seq DESC LIMIT \(Self.searchedForCause))
      WHERE source = ?2 AND worker = ?3
        AND hook = (SELECT id FROM text WHERE text = 'stimulus')
        AND args ->> '$.op' = 'remove-worker'
      LIMIT 1
      """)
    caused = try connection.prepare(
      """
      SELECT start.text, finish.text, event.key, CASE WHEN start.text = 'memory' THEN (
          SELECT made.args ->> '$.nbytes' FROM event AS made
          WHERE made.key = event.key AND made.source = event.source AND made.seq < event.seq
            AND (made.finish = event.start
              OR made.hook = (SELECT id FROM text WHERE text = 'addReplica'))
            AND made.args ->> '$.nbytes' IS NOT NULL
          ORDER BY made.seq DESC LIMIT 1) END
      FROM event
      JOIN text AS start ON start.id = event.start JOIN text AS finish ON finish.id = event.finish
      WHERE event.seq BETWEEN ?1 AND ?2 AND +event.source = ?3 AND +event.stimulus = ?4
        AND +event.hook = (SELECT id FROM text WHERE text = 'transition')
        AND event.key IS NOT NULL
      ORDER BY event.seq
      """)
  }

  /// What a removal did, by the event by which the worker left; `nil` if that is no removal, or does
  /// not say its stimulus.
  ///
  /// - Parameter isWanted: whether the effects are, given whether the removal was expected.
  /// - Throws: `SQLiteError`.
  mutating func effects(
    of seq: Int64, if isWanted: (_ isExpected: Bool?) throws -> Bool = { _ in true }
  ) throws -> Removal? {
    defer { for statement in [removal, cause, caused] { statement.reset() } }
    try removal.bind(1, seq)
    guard try removal.step() else { return nil }
    let (source, stimulus) = (removal.integer(0), removal.integer(1))
    for (index, number) in [seq, source, removal.integer(2)].enumerated() {
      try cause.bind(Int32(index + 1), number)
    }
    guard try cause.step() else { return Removal() }
    var found = Removal(isExpected: cause.optionalInteger(1).map { $0 != 0 }, hasCause: true)
    found.isWanted = try isWanted(found.isExpected)
    guard found.isWanted else { return found }
    for (index, number) in [cause.integer(0), seq, source, stimulus].enumerated() {
      try caused.bind(Int32(index + 1), number)
    }
    while try caused.step() {
      let (start, finish) = (caused.text(0), caused.text(1))
      let kind: Effect.Kind
      switch (start, finish) {
      case ("processing", "released"), ("processing", "erred"): kind = .unassigned
      case ("memory", "released"): kind = .lost
      case (_, "forgotten"): kind = .forgotten
      default: continue
      }
      found.effects.append(
        Effect(kind: kind, key: caused.integer(2), bytes: caused.optionalInteger(3)))
    }
    let forgotten = Set(found.effects.lazy.filter { $0.kind == .forgotten }.map(\.key))
    for index in found.effects.indices
    where found.effects[index].kind == .lost && forgotten.contains(found.effects[index].key) {
      found.effects[index].kind = .lostForgotten
    }
    return found
  }
}
