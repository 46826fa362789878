import LogAnalysis
import LogFormat

/// The tasks that failed themselves, those that failed because of them, and the causes, all as
/// `RunFailures` has them.
struct FailureTable {
  /// The maximum number of listed failures, and of bytes of their texts; further ones are only
  /// counted.
  static let limit = 10_000
  static let textLimit = 8 << 20

  struct Failure {
    var task: Int
    /// Microseconds.
    var time: Int64
    var worker: Int?
    /// The index of its cause.
    var cause = -1
    /// The index of a text; `nil` if there is none, or if the limit was reached.
    var traceback: Int?
    var retries: Int64 = 0
    var dependents: Int64 = 0
  }

  struct Cause {
    var run: Int
    /// As above, like the traceback.
    var exception: Int?
    var tasks: Int64
    var dependents: Int64
    var workers: Int64
    /// The task that failed first.
    var first: Int
    var traceback: Int?
  }

  /// The last failure of a task.
  enum Last: Equatable {
    /// On its own; the index of the failure, if it is listed.
    case own(Int?)
    /// Because of another; the index of that one's failure, if it is known and listed.
    case affected(Int?)

    /// As a number in the page; 0 is for tasks that have not failed.
    var code: Int {
      switch self {
      case .own(nil): 1
      case .affected(nil): 2
      case .own(let index?): 3 + 2 * index
      case .affected(let index?): 4 + 2 * index
      }
    }
  }

  private(set) var failures: [Failure] = []
  private(set) var causes: [Cause] = []
  private(set) var texts = NameTable()
  private(set) var last: [Int: Last] = [:]
  /// The keys that tasks blame, if the failure of that key is not listed.
  private(set) var blamed: [(task: Int, key: Int)] = []
  private(set) var count = 0
  private(set) var affectedCount = 0
  /// Texts omitted because of the limit.
  private(set) var omittedTexts = 0
  private var textSize = 0
  private var run = -1
  /// The tasks that failed on their own in this run and the index of their failure, by the seq of
  /// the event.
  private var own: [Int64: (task: Int, index: Int?)] = [:]
  /// Tasks of this run whose cause is not listed, and the seq of their event.
  private var unlisted: [(task: Int, seq: Int64)] = []

  mutating func beginRun() {
    run += 1
    own = [:]
    unlisted = []
  }

  /// - Parameter cause: the event of the failure that caused it, which is its own seq if it has
  ///   failed on its own; `nil` if unknown.
  mutating func add(_ task: Int, _ seq: Int64, worker: Int?, _ time: Int64, cause: Int64?) {
    guard cause == seq else {
      affectedCount += 1
      let index = cause.flatMap { own[$0]?.index }
      last[task] = .affected(index)
      if index == nil, unlisted.count < Self.limit { unlisted.append((task, seq)) }
      return
    }
    count += 1
    var index: Int?
    if failures.count < Self.limit {
      index = failures.count
      failures.append(Failure(task: task, time: time, worker: worker))
    }
    own[seq] = (task, index)
    last[task] = .own(index)
  }

  /// Adds the causes and the texts of the run's failures.
  ///
  /// - Throws: `LogError`.
  mutating func endRun(_ known: RunFailures) throws {
    var table = CauseTable()
    // The listed failures by their cause, in the order of first occurrence.
    var listed: [(failure: Int, cause: Int)] = []
    try known.forEachError { error in
      let cause = table.add(error)
      guard let index = own[error.seq]?.index else { return }
      listed.append((index, cause))
      failures[index].traceback = text(error.traceback)
      failures[index].retries = error.retries
      failures[index].dependents = error.dependents
    }
    var placed: [Int: Int] = [:]
    for (index, cause) in table.sorted() where causes.count < Self.limit {
      guard let first = own[cause.firstSeq]?.task else { continue }
      placed[index] = causes.count
      causes.append(
        Cause(
          run: run, exception: text(cause.exception), tasks: cause.tasks,
          dependents: cause.dependents, workers: cause.workers, first: first,
          traceback: text(cause.firstTraceback)))
    }
    for (failure, cause) in listed { failures[failure].cause = placed[cause] ?? -1 }
    for (task, seq) in unlisted {
      if let key = try known.blamed(at: seq) { blamed.append((task, texts.index(key))) }
    }
  }

  /// - Parameter indexes: the new index of each task.
  mutating func renumber(_ indexes: [Int32]) {
    for index in failures.indices {
      failures[index].task = Int(indexes[failures[index].task])
    }
    for index in causes.indices { causes[index].first = Int(indexes[causes[index].first]) }
    for index in blamed.indices { blamed[index].task = Int(indexes[blamed[index].task]) }
    last = Dictionary(uniqueKeysWithValues: last.map { (Int(indexes[$0.key]), $0.value) })
  }

  private mutating func text(_ value: SQLiteValue) -> Int? {
    let text: String
    switch value {
    case .null: return nil
    case .text(let value): text = value
    default: text = String(describing: value)
    }
    let previousCount = texts.names.count
    guard textSize + text.utf8.count <= Self.textLimit else {
      omittedTexts += 1
      return nil
    }
    let index = texts.index(text)
    if texts.names.count > previousCount { textSize += text.utf8.count }
    return index
  }
}
