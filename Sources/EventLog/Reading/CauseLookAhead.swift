import TaskLogPlugin

/// Looks for causes further on in a log.
///
/// It finds exactly the events that `CausalOrder` takes for causes: what that waits for must come.
final class CauseLookAhead {
  private let connection: Connection
  /// Statements for the sources that there were when they were made.
  private var statements: (sources: Int, done: Statement, processing: Statement)?

  init(_ connection: Connection) throws {
    self.connection = connection
  }

  /// Whether a cause lies behind a seq.
  func finds(
    _ cause: CausalCause, behind seq: Int64, upTo lastSeq: Int64,
    _ sources: some Collection<SourceInfo>
  ) throws -> Bool {
    if statements?.sources != sources.count { statements = try prepare(sources) }
    guard let statements else { return false }
    let statement = cause.kind == .workerDone ? statements.done : statements.processing
    defer { statement.reset() }
    try statement.bind(1, cause.key)
    try statement.bind(2, seq)
    try statement.bind(3, lastSeq)
    try statement.bind(4, cause.number)
    return try statement.step()
  }

  private func prepare(
    _ sources: some Collection<SourceInfo>
  ) throws -> (Int, Statement, Statement) {
    func list(_ kind: Source.Kind) -> String {
      sources.filter { $0.source.kind == kind }.map(\.number).sorted().map(String.init)
        .joined(separator: ", ")
    }
    let states = CausalCause.statesOfRun.map { "'\($0.name)'" }.joined(separator: ", ")
    let common = """
      SELECT 1 FROM event WHERE key = ? AND seq > ? AND seq <= ?
        AND hook = (SELECT id FROM text WHERE text = 'transition')
      """
    let done = try connection.prepare(
      """
      \(common) AND stimulus = ? AND finish IS NOT NULL AND source IN (\(list(.worker)))
        AND start IN (SELECT id FROM text WHERE text IN (\(states))) LIMIT 1
      """)
    let processing = try connection.prepare(
      """
      \(common) AND task_run = ? AND source IN (\(list(.scheduler)))
        AND finish = (SELECT id FROM text WHERE text = 'processing') LIMIT 1
      """)
    return (sources.count, done, processing)
  }
}
