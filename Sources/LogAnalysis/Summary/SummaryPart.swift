import EventLog
import LogFormat
import TaskLogPlugin

/// What a summary needs of some events: a few numbers of each row and, from the args, what they say
/// about work. Created by several threads at once; `SummaryScan` consumes the parts in order.
package struct SummaryPart: Sendable {
  static let sql = """
    SELECT seq, source, time, hook, key, start, finish, worker, args, source_seq
    FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq
    """

  enum Kind: UInt8 {
    case transition
    /// Only counts as a sign of life.
    case other
  }

  struct Row {
    var kind: Kind
    /// The index of the source among those of the run.
    var source: Int32
    /// The index in `outcomes` of what the args contain; negative if they contain nothing.
    var outcome: Int32 = -1
    var seq: Int64
    /// By the scheduler's clock.
    var time: Int64
    var key: Int64
    var start: Int64
    var finish: Int64
    var worker: Int64
  }

  struct Outcome {
    var nbytes: Int64?
    var computeSeconds: Double
    var hasCompute: Bool
    /// The index of the worker's address in `workers`; negative if there is none.
    var worker: Int32
  }

  var rows: ContiguousArray<Row> = []
  var outcomes: ContiguousArray<Outcome> = []
  /// The addresses of workers in args.
  var workers: [String] = []

  /// The properties of a run that are needed to create parts of it.
  struct Making: Sendable {
    var path: String
    var places: SourceIndex
    var isSchedulerAt: [Bool]
    var transition: Int64
    var clocks: ClockOffsets
    /// Cuts spans of work; `nil` for all of time.
    var window: TimeWindow?

    func part(_ select: Statement, _ range: ClosedRange<Int64>) throws -> SummaryPart {
      var part = SummaryPart()
      part.rows.reserveCapacity(Int(ParallelScan<SummaryPart>.usualSize))
      var names = WorkerNames()
      var (lastSource, place) = (Int64.min, Int?.none)
      try select.forEachRow(in: range, path) { seq in
        let source = select.integer(1)
        if source != lastSource {
          lastSource = source
          place = places.place(source)
        }
        guard let place else { return }
        let time = clocks.time(
          select.integer(2), source: source, sourceSeq: select.integer(9))
        var row = Row(
          kind: .other, source: Int32(place), seq: seq, time: time, key: 0, start: 0, finish: 0,
          worker: 0)
        if select.integer(3) == transition {
          row.key = select.integer(4)
          if row.key != 0 {
            row.kind = .transition
            row.start = select.integer(5)
            row.finish = select.integer(6)
            if isSchedulerAt[place] {
              row.worker = select.integer(7)
              row.outcome = part.addOutcome(select, row.worker, &names, window)
            }
          }
        }
        part.rows.append(row)
      }
      part.workers = names.names
      return part
    }
  }

  /// What the args say about work; most transitions have none.
  private mutating func addOutcome(
    _ row: Statement, _ worker: Int64, _ names: inout WorkerNames, _ window: TimeWindow?
  ) -> Int32 {
    let outcome = row.withText(8) { text in
      let scan = OutcomeScan(text, longestOf: .none, window: window)
      return Outcome(
        nbytes: scan.nbytes, computeSeconds: scan.computeSeconds, hasCompute: scan.hasCompute,
        worker: scan.worker.map {
          names.place(UnsafeBufferPointer(rebasing: text[$0]), number: worker)
        } ?? -1)
    }
    guard let outcome else { return -1 }
    outcomes.append(outcome)
    return Int32(outcomes.count - 1)
  }
}

/// The addresses of workers in args, without duplicates.
private struct WorkerNames {
  private(set) var names: [String] = []
  private var bytes: [[UInt8]] = []
  private var places: [String: Int32] = [:]
  private var byNumber: [Int64: Int32] = [:]

  /// - Parameter number: the row ID of the worker the event is about; nearly always the same.
  mutating func place(_ name: UnsafeBufferPointer<UInt8>, number: Int64) -> Int32 {
    if let known = byNumber[number], bytes[Int(known)].elementsEqual(name) { return known }
    let text = String(decoding: name, as: UTF8.self)
    let place = places[text] ?? Int32(names.count)
    if place == names.count {
      names.append(text)
      bytes.append(Array(name))
      places[text] = place
    }
    if number != 0 { byNumber[number] = place }
    return place
  }
}
