/// What failed on its own, and what failed with it.
struct FailureTable {
  /// How many are shown one by one, and how much text of them; the others are counted.
  static let limit = 10_000
  static let textLimit = 8 << 20

  struct Failure {
    var task: Int
    /// Microseconds.
    var time: Int64
    var worker: Int?
    /// Places among the texts; nothing where there is none, or no room was left for it.
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
  /// Texts that there was no room for.
  private(set) var omittedTexts = 0
  private var textSize = 0
  /// Those of this run, by their events.
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
    failures[failure].exception = place(exception)
    failures[failure].traceback = place(traceback)
  }

  /// A task that failed because of another one, as far as that is known.
  mutating func addAffected(_ task: Int, cause: Int64?) {
    affectedCount += 1
    guard let failure = cause.flatMap({ bySeq[$0] }) else { return }
    failures[failure].dependents += 1
    if affected.count < Self.limit { affected.append((task, failure)) }
  }

  private mutating func place(_ text: String?) -> Int? {
    guard let text else { return nil }
    let before = texts.names.count
    guard textSize + text.utf8.count <= Self.textLimit else {
      omittedTexts += 1
      return nil
    }
    let place = texts.place(text)
    if texts.names.count > before { textSize += text.utf8.count }
    return place
  }
}
