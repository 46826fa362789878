/// The tasks that failed themselves, and those that failed because of them.
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
    /// Indexes of texts; `nil` if there is none, or if the limit was reached.
    var exception: Int?
    var traceback: Int?
    var retries: Int
    var dependents = 0
  }

  private(set) var failures: [Failure] = []
  private(set) var affected: [(task: Int, failure: Int)] = []
  private(set) var texts = NameTable()
  private(set) var count = 0
  private(set) var affectedCount = 0
  /// Texts omitted because of the limit.
  private(set) var omittedTexts = 0
  private var textSize = 0
  /// The failures of this run, by the seq of their event.
  private var bySeq: [Int64: Int] = [:]

  mutating func beginRun() { bySeq = [:] }

  mutating func add(_ failure: Failure, seq: Int64) {
    count += 1
    guard failures.count < Self.limit else { return }
    bySeq[seq] = failures.count
    failures.append(failure)
  }

  mutating func addTexts(_ seq: Int64, exception: String?, traceback: String?) {
    guard let failure = bySeq[seq] else { return }
    failures[failure].exception = index(exception)
    failures[failure].traceback = index(traceback)
  }

  /// Adds a task that failed because of another one, whose event is the cause if known.
  mutating func addAffected(_ task: Int, cause: Int64?) {
    affectedCount += 1
    guard let failure = cause.flatMap({ bySeq[$0] }) else { return }
    failures[failure].dependents += 1
    if affected.count < Self.limit { affected.append((task, failure)) }
  }

  private mutating func index(_ text: String?) -> Int? {
    guard let text else { return nil }
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
