import LogFormat
import TaskLogPlugin

/// Looks for causes later in a log.
///
/// It finds exactly the events that are causes for `CausalOrder`: a cause that is waited for must
/// come.
final class PendingCauseLookup {
  private let connection: Connection
  /// Statements for the sources that existed when they were prepared.
  private var statements: (sources: Int, done: Statement, processing: Statement)?

  init(_ connection: Connection) throws {
    self.connection = connection
  }

  /// Whether a cause comes after a seq.
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
    let common = "SELECT 1 FROM event WHERE key = ? AND seq > ? AND seq <= ?"
    // The unary plus keeps SQLite from an index that finds all tasks of the stimulus.
    let done = try connection.prepare(
      "\(common) AND +stimulus = ? AND \(CauseSQL.isDone("event", sources)) LIMIT 1")
    let processing = try connection.prepare(
      "\(common) AND task_run = ? AND \(CauseSQL.isProcessing("event", sources)) LIMIT 1")
    return (sources.count, done, processing)
  }
}
