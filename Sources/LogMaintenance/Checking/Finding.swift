/// A problem that a check of a log has found.
package struct Finding: Sendable {
  /// The consequence for users of the log.
  package enum Severity: String, Sendable {
    /// The log is inconsistent or damaged: its content is not reliable everywhere.
    case error
    /// Something is missing, and the log records that; or it is not recovered yet.
    case warning
    /// Worth knowing.
    case info
  }

  /// The kind of problem. The raw value is its name in outputs and is stable.
  package enum Kind: String, Sendable, CaseIterable {
    // The file.
    case damagedPage = "damaged-page"
    case unreadable = "unreadable"
    case missingObject = "missing-object"
    case foreignSchema = "foreign-schema"
    case changedObject = "changed-object"
    case otherObject = "other-object"
    case brokenView = "broken-view"
    case newerVersion = "newer-version"
    case readableByOthers = "readable-by-others"
    // References between rows.
    case unknownReference = "unknown-reference"
    case missingBlob = "missing-blob"
    case wrongBlob = "wrong-blob"
    // Contents of rows.
    case unreadableKey = "unreadable-key"
    case unreadableArgs = "unreadable-args"
    case unreadableSnapshot = "unreadable-snapshot"
    case incompleteTransition = "incomplete-transition"
    case wrongTime = "wrong-time"
    case unknownHook = "unknown-hook"
    case unknownState = "unknown-state"
    // Numbers.
    case wrongNextSeq = "wrong-next-seq"
    case holeInSeq = "hole-in-seq"
    case holeInSource = "hole-in-source"
    case wrongGap = "wrong-gap"
    case knownGap = "known-gap"
    case wrongTotals = "wrong-totals"
    // Runs and their events.
    case impossibleTransition = "impossible-transition"
    case brokenChain = "broken-chain"
    case wrongEnd = "wrong-end"
    case diedUnnoticed = "died-unnoticed"
    case noScheduler = "no-scheduler"
    case filtered = "filtered"
    case prunedEvents = "pruned-events"
    case earlierFile = "earlier-file"
    case partialRun = "partial-run"
    case inNoLog = "in-no-log"
    case incompleteWorker = "incomplete-worker"
    // Next to the file.
    case undrainedSpool = "undrained-spool"
    case strangeSpool = "strange-spool"
    case emptySpool = "empty-spool"
    case lostCommits = "lost-commits"

    package var severity: Severity {
      switch self {
      case .readableByOthers, .unknownHook, .unknownState, .filtered, .prunedEvents,
        .earlierFile, .partialRun, .emptySpool, .otherObject:
        .info
      case .newerVersion, .wrongTime, .knownGap, .diedUnnoticed, .noScheduler, .undrainedSpool,
        .strangeSpool, .changedObject, .inNoLog, .incompleteWorker:
        .warning
      default: .error
      }
    }
  }

  package var kind: Kind
  /// The row ID of the run in the file, if the finding is about one.
  package var run: Int64?
  /// The number of occurrences.
  package var count: Int64
  /// The location of the first occurrence: an event, a source, a table.
  package var place: String
  /// What is wrong there, and what to do about it.
  package var detail: String

  package init(
    _ kind: Kind, run: Int64? = nil, count: Int64 = 1, place: String, detail: String
  ) {
    self.kind = kind
    self.run = run
    self.count = count
    self.place = place
    self.detail = detail
  }

  package var severity: Severity { kind.severity }
}

/// Findings, grouped by kind and run: the same error in each of a million rows is one line.
struct FindingList {
  private struct Place: Hashable {
    var kind: Finding.Kind
    var run: Int64?
    /// Separates findings of one kind that are reported individually.
    var subject: String
  }

  private var places: [Place: Int] = [:]
  private(set) var findings: [Finding] = []

  /// - Parameter subject: what the finding is about, if findings of one kind are to be kept apart.
  mutating func add(
    _ kind: Finding.Kind, run: Int64? = nil, count: Int64 = 1, subject: String = "",
    at place: @autoclosure () -> String, _ detail: @autoclosure () -> String
  ) {
    let key = Place(kind: kind, run: run, subject: subject)
    if let index = places[key] {
      findings[index].count += count
    } else {
      places[key] = findings.count
      findings.append(
        Finding(kind, run: run, count: count, place: place(), detail: detail()))
    }
  }

  /// The most severe first, then in the order of `Finding.Kind`, then by run.
  var sorted: [Finding] {
    let order = Dictionary(
      uniqueKeysWithValues: Finding.Kind.allCases.enumerated().map { ($1, $0) })
    func rank(_ finding: Finding) -> (Int, Int, Int64) {
      let severity =
        switch finding.severity {
        case .error: 0
        case .warning: 1
        case .info: 2
        }
      return (severity, order[finding.kind] ?? 0, finding.run ?? 0)
    }
    // Stable: equal findings stay in the order in which they were found.
    return findings.enumerated().sorted {
      let (a, b) = (rank($0.element), rank($1.element))
      return a == b ? $0.offset < $1.offset : a < b
    }.map(\.element)
  }
}
