import EventLog
import LogFormat
import TaskLogPlugin

/// What the tasks of a run belong to: the prefix, and on request the client, the span of
/// Dask and the named job.
///
/// A task within nested spans belongs to the innermost: the one with the fewest tasks.
package final class TaskIndex {
  package struct Owners: OptionSet, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let clients = Owners(rawValue: 1)
    package static let spans = Owners(rawValue: 2)
    package static let jobs = Owners(rawValue: 4)
  }

  private(set) var tasks: [ThreadTimeInput.Task] = []
  private let reader: LogReader
  private let scope: RunScope?
  private var clients: [(name: String, tasks: RowIDSet)] = []
  private var spans: [(name: String, tasks: RowIDSet)] = []
  private var jobs: [(name: String, tasks: RowIDSet)] = []
  private var indexes: [ThreadTimeInput.Task: Int] = [:]
  private var prefixes: [Int64: Int64] = [:]
  private var page: Int64 = -1

  /// Whether it knows the clients of tasks, and there are several.
  var hasSeveralClients: Bool { clients.count > 1 }

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope?, _ owners: Owners) throws {
    (self.reader, self.scope) = (reader, scope)
    guard !owners.isEmpty, let range = try reader.range(of: run) else { return }
    let members = SubmissionMembers(reader: reader, run: run, range: range)
    if owners.contains(.clients) { clients = try members.clients() }
    if owners.contains(.jobs) { jobs = try members.jobs() }
    if owners.contains(.spans) {
      spans = try members.spans()
      spans.sort { ($0.tasks.count, $0.name) < ($1.tasks.count, $1.name) }
    }
  }

  /// The index of what a task belongs to.
  ///
  /// - Parameter isWasted: whether it is about an attempt that brought no result that lasted.
  func index(of key: Int64, isWasted: Bool = false) throws -> Int {
    var task = ThreadTimeInput.Task(
      prefix: try prefix(of: key), client: clients.first { $0.tasks.contains(key) }?.name,
      span: spans.first { $0.tasks.contains(key) }?.name,
      job: jobs.first { $0.tasks.contains(key) }?.name)
    task.isWasted = isWasted
    task.isSelected = scope?.includes(task: key) ?? true
    if let index = indexes[task] { return index }
    tasks.append(task)
    indexes[task] = tasks.count - 1
    return tasks.count - 1
  }

  private func prefix(of key: Int64) throws -> String? {
    if page != key >> 10 {
      page = key >> 10
      prefixes.removeAll(keepingCapacity: true)
      try reader.prefixes(ofKeys: page << 10..<(page + 1) << 10) { prefixes[$0] = $1 }
    }
    return try prefixes[key].flatMap { try reader.texts.element($0) }
  }
}
