import LogFormat
import Scheduling
import TaskLogPlugin

/// Reads what `PlacementIndexWriter` has written.
struct PlacementIndexReader {
  /// All, in the order of their indexes.
  static let statuses: [WorkerStatus] = [
    .running, .closingGracefully, .paused, .starting, .closing,
  ]

  /// The number of tasks and actors that the workers of a choice may have. Each is rebuilt, and a
  /// damaged index may have any number: beyond this one the state is rebuilt from the events.
  private static let mostTasks: Int64 = 1 << 20

  private let isDask: Bool
  private var workers: [PlacementMoment.Worker] = []
  private var loads: [(counts: OrderedMap<Int, Int>, networkBytes: Int64, isIdle: Bool)] = []
  private var order: [Int] = []
  private var totalThreads = 0
  private var texts: [String] = []
  private var durations: [Int: DaskMoment.Duration] = [:]
  private var settings = DaskMoment()
  private var holders: [[Int]] = []
  private var terms: [Value] = []

  init(isDask: Bool) { self.isDask = isDask }

  /// Reports choices and steals in order.
  ///
  /// - Parameters:
  ///   - wants: whether the choice of an event is of interest, by its seq.
  ///   - isWanted: whether the steals of a key are, by its row ID.
  /// - Throws: `DamagedIndex`, or what the arguments throw.
  mutating func read(
    _ bytes: UnsafeRawBufferPointer, through last: Int64, choicesOf wants: (Int64) -> Bool,
    stealsOf isWanted: (Int64) -> Bool,
    choice body: (_ seq: Int64, (Key) -> (any PlacementRules, TaskState)) throws -> Void,
    steal: (RecordedSteal) throws -> Void
  ) throws {
    var position = IndexPosition(bytes)
    var seq: Int64 = 0
    while !position.isAtEnd, seq < last {
      switch try position.part() {
      case .choice:
        seq &+= try position.signed()
        guard wants(seq) else {
          try position.skip()
          continue
        }
        try position.enter()
        let (moment, dask) = try choice(&position)
        try body(seq) { Self.rules(moment, dask, $0) }
      case .steal:
        guard isWanted(try position.signed()) else {
          try position.skip()
          continue
        }
        try position.enter()
        try steal(self.steal(&position))
      case let part: try take(part, &position)
      }
    }
  }

  // MARK: - Changes

  private mutating func take(_ part: IndexPart, _ position: inout IndexPosition) throws {
    switch part {
    case .worker:
      guard let value = try? JSONReader.value(position.text()),
        let worker = PlacementMoment.Worker(value)
      else { throw DamagedIndex() }
      workers.append(worker)
      loads.append((OrderedMap(), 0, false))
    case .order:
      totalThreads = Int(try position.signed())
      order = try (0..<position.length()).map { _ in try position.index(of: workers.count) }
      // A state has one worker at an address.
      guard Set(order.map { workers[$0].facts.address }).count == order.count else {
        throw DamagedIndex()
      }
    case .load: try takeLoad(&position)
    case .count:
      let worker = try position.index(of: workers.count)
      let text = try position.index(of: texts.count)
      let count = (loads[worker].counts[text] ?? 0) &+ Int(try position.signed())
      loads[worker].counts[text] = count > 0 ? count : nil
    case .text: texts.append(try position.text())
    case .duration:
      durations[try position.index(of: texts.count)] = DaskMoment.Duration(
        average: try position.double(), longest: try position.double())
    case .bandwidth: settings.bandwidth = try position.double()
    case .settings:
      settings.numbers = try [settings.bandwidth] + (0..<4).map { _ in try position.double() }
    case .holders:
      holders.append(
        try (0..<position.length()).map { _ in try position.index(of: workers.count) })
    case .terms:
      guard let value = try? JSONReader.value(position.text()) else { throw DamagedIndex() }
      terms.append(value)
    case .choice, .steal: throw DamagedIndex()
    }
  }

  private mutating func takeLoad(_ position: inout IndexPosition) throws {
    let worker = try position.index(of: workers.count)
    let flags = try position.count()
    guard flags >> 1 < Self.statuses.count else { throw DamagedIndex() }
    loads[worker].isIdle = flags & 1 != 0
    workers[worker].status = Self.statuses[flags >> 1]
    workers[worker].processing = try position.count()
    workers[worker].longRunning = try position.count()
    workers[worker].nbytes = try position.signed()
    loads[worker].networkBytes = try position.signed()
  }

  // MARK: - Choices

  private func choice(
    _ position: inout IndexPosition
  ) throws -> (PlacementMoment, DaskMoment?) {
    let flags = try position.number()
    var moment = PlacementMoment(key: "")
    moment.workers = order.map { workers[$0] }
    moment.totalThreads = totalThreads
    moment.mismatchCount = Int(try position.signed())
    var dask = settings
    dask.sentCount = try position.signed()
    moment.groupSize = Int(try position.signed())
    moment.dependencySizes = try (0..<position.length()).map { _ in Int(try position.signed()) }
    var places = [Int?](repeating: nil, count: workers.count)
    for (place, worker) in order.enumerated() { places[worker] = place }
    moment.inputs = try (0..<position.length()).map { _ in
      let number = try position.number()
      guard number >> 1 < UInt64(holders.count) else { throw DamagedIndex() }
      return PlacementMoment.Input(
        nbytes: number & 1 != 0 ? try position.signed() : nil,
        holders: holders[Int(number >> 1)].compactMap { places[$0] })
    }
    if flags & 1 != 0 { moment.terms = terms[try position.index(of: terms.count)] }
    if flags & 2 != 0 {
      let isKnown = try position.number() != 0
      let address = try position.text()
      dask.group = (isKnown ? address : nil, Int(try position.signed()))
    }
    if flags & 4 != 0 { moment.durationAverage = try position.double() }
    if flags & 8 != 0 {
      for index in moment.workers.indices { moment.workers[index].actors = try position.count() }
    }
    let tasks = moment.workers.reduce(Int64(0)) { sum, worker in
      sum + Int64(worker.processing) + Int64(worker.actors)
    }
    guard tasks <= Self.mostTasks else { throw DamagedIndex() }
    guard isDask else { return (moment, nil) }
    for (text, duration) in durations { dask.durations[texts[text]] = duration }
    dask.workers = order.map { index in
      var worker = DaskMoment.Worker()
      for (text, count) in loads[index].counts { worker.counts[texts[text]] = count }
      worker.networkBytes = loads[index].networkBytes
      worker.isIdle = loads[index].isIdle
      return worker
    }
    return (moment, dask)
  }

  private static func rules(
    _ moment: PlacementMoment, _ dask: DaskMoment?, _ key: Key
  ) -> (any PlacementRules, TaskState) {
    var moment = moment
    moment.key = key
    let (state, task) = SchedulerState.at(moment)
    guard let dask else { return (EngineRules(state), task) }
    return (DaskRules(state, dask, task.group.name), task)
  }

  private func steal(_ position: inout IndexPosition) throws -> RecordedSteal {
    let (seq, time) = (try position.signed(), try position.signed())
    let victim = texts[try position.index(of: texts.count)]
    let thief = texts[try position.index(of: texts.count)]
    var steal = RecordedSteal(seq: seq, time: time, victim: victim, thief: thief)
    if try position.number() != 0 {
      steal.estimate = RecordedSteal.Estimate(
        cost: try position.double(), victim: try position.double(), thief: try position.double(),
        missingBytes: try position.signed())
      steal.requested = try position.signed()
    }
    return steal
  }
}
