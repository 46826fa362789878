import TestSupport

@testable import TaskLogPlugin

extension SplitMix64 {
  /// An event with every part that an event can have.
  mutating func event() -> Event {
    var event = Event(hook(), time: int())
    if !once(in: 4) { event.key = key() }
    if !once(in: 3) { event.start = taskState() }
    if !once(in: 3) { event.finish = taskState() }
    if !once(in: 3) { event.stimulusID = text() }
    if once(in: 2) { event.worker = text() }
    if once(in: 2) { event.taskRunID = int() }
    if !once(in: 3) { event.args = argsWithBlobs() }
    event.snapshot = snapshot()
    return event
  }

  mutating func key() -> Key {
    let fixed: [Key] = ["x", "a\0b", "\u{e9}", "e\u{301}", Key("x", 1), Key("y", "z")]
    return once(in: 3) ? pick(fixed) : Key(keyValue()) ?? "none"
  }

  mutating func hook() -> Hook {
    once(in: 4) ? .other(pick(["fly", "\u{e9}", "e\u{301}", "a\0b"])) : pick(Hook.known)
  }

  mutating func taskState() -> State {
    once(in: 4) ? .other(pick(["afloat", "\u{e9}", "e\u{301}"])) : pick(State.known)
  }

  /// Args; some with bytes that the log stores elsewhere.
  private mutating func argsWithBlobs() -> Args {
    guard once(in: 3) else { return args() }
    let long = (0..<257 + below(600)).map { _ in UInt8(below(256)) }
    // The same content twice, and one that is repeated often.
    return Args(
      positional: [.bytes(long), .bytearray(long), value()],
      named: [
        .init("fixed", .tuple([.bytes([UInt8](repeating: 7, count: 300))])),
        .init("short", .bytes([UInt8](repeating: 8, count: 256))),
      ])
  }

  /// Args that our own engine makes.
  mutating func factArgs() -> Args {
    let task = GraphTask(key: key(), priority: once(in: 2) ? Priority([-1, 2.5]) : nil)
    switch below(4) {
    case 0:
      return .run(
        RunReport(
          worker: text(), nbytes: int(), type: text(), typeName: text(), thread: int(),
          startStops: [StartStop(action: text(), start: double(), stop: 1)]))
    case 1:
      return .compute(
        ComputeRequest(
          priority: Priority(1, 2.5, -3), whoHas: [(key(), [text(), text()]), (key(), [])],
          annotations: once(in: 2) ? [.init("a", value())] : nil))
    case 2:
      return .graph(
        GraphSubmission(
          client: text(), keys: [key(), key()], tasks: [key()], annotations: value(),
          added: [task, task]))
    default: return .keys([key(), key()], of: text())
    }
  }

  mutating func snapshot() -> Snapshot {
    switch below(6) {
    case 0:
      let tasks = (0..<below(3)).map { _ in
        GraphTask(
          key: key(), dependencies: [key()], priority: Priority([-1, 2.5]),
          annotations: [.init("a", value())], retries: below(3), workerRestrictions: [text()])
      }
      return .graph(tasks)
    case 1:
      return .worker(
        WorkerSnapshot(
          address: text(), name: value(), serverID: text(), nthreads: below(9),
          memoryLimit: int(), pid: int(), host: text()))
    case 2:
      return .task(
        TaskSnapshot(
          nbytes: int(), typeName: text(), exceptionText: text(), tracebackText: text(),
          startStops: [StartStop(action: text(), start: double(), stop: 1, source: text())],
          comingFrom: text(), cause: key(), retries: below(3), suspicious: below(3)))
    case 3: return .other(value())
    default: return .none
    }
  }
}
