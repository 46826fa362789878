import Testing

@testable import TaskLogPlugin

private class Counter: SchedulerPlugin {
  var counter = 12
  var scheduler: Scheduler?
  required init() {}
}

private final class NamedCounter: Counter {
  var label: String? = "x"
  var nothing: Int?
  var nested: Int?? = .some(.some(3))
}

private final class Collector: WorkerPlugin {
  var counts = ["b": 2, "a": 1, "c": 3]
  var byNumber = [10: "ten", 9: "nine", -1: "minus"]
  var byKey: [Key: State] = [Key("x", 1): .noWorker]
  var names: Set<String> = ["b", "a", "c"]
  var large: Set<Int64> = [.max, .max - 1, .max - 2, .max - 3, .max - 4]
  var list = [0.5, -0.0]
  var pair = (1, "a")
  var unsigned = UInt64.max
  var flag = true
  var value = Value.tuple([1])
  var state: WorkerState? = WorkerState()
  var worker: Worker?
  var schedulerState = SchedulerState()
  var span = StartStop(action: "compute", start: 1, stop: 2)
}

private final class Holder: SchedulerPlugin {
  var map = OrderedMap<Key, Int>()
  var set = OrderedSet<TaskState>()
}

@Suite struct ReportTests {
  @Test func `a counter reports its count, and not the scheduler that it refers to`() {
    let plugin = Counter()
    plugin.scheduler = Scheduler(id: "s") { SchedulerState() }
    #expect(plugin.report() == .object(["counter": 12]))
  }

  @Test func `a scheduler that does not exist yet is not reported either`() {
    #expect(Counter().report() == .object(["counter": 12]))
  }

  @Test func `inherited properties come first, empty optionals are null`() {
    let expected = Value.object(["counter": 12, "label": "x", "nothing": .null, "nested": 3])
    #expect(NamedCounter().report() == expected)
  }

  private static let expectations: [(property: String, value: Value)] = [
    ("counts", Value.object(["a": 1, "b": 2, "c": 3])),
    ("byNumber", .dict([.init(-1, "minus"), .init(9, "nine"), .init(10, "ten")])),
    ("byKey", .object(["('x', 1)": "no-worker"])), ("names", ["a", "b", "c"]),
    (
      "large",
      .list((0...4).reversed().map { .int(.max - $0) })
    ),
    ("list", [0.5, .double(-0.0)]), ("pair", .tuple([1, "a"])),
    ("unsigned", .bigInt("18446744073709551615")), ("flag", true), ("value", .tuple([1])),
    ("span", .object(["action": "compute", "start": 1.0, "stop": 2.0, "source": .null])),
  ]

  @Test(arguments: expectations)
  func `Swift values are values of the log`(property: String, value: Value) {
    #expect(Collector().report()[property] == value)
  }

  @Test(arguments: ["state", "schedulerState", "worker"])
  func `state and the worker are not part of a report`(property: String) {
    #expect(Collector().report()[property] == nil)
  }

  @Test func `ordered collections report their elements`() {
    let holder = Holder()
    for key in ["b", "x", "a"] as [Key] { holder.map[key] = 1 }
    holder.map["x"] = nil
    #expect(holder.report() == .object(["map": .object(["a": 1, "b": 1]), "set": []]))
  }

  @Test func `a report never contains the address of an object`() {
    let state = SchedulerState()
    let holder = Holder()
    for name in 0..<20 { holder.set.insert(state.task(Key("x", name))) }
    #expect(holder.report()["set"]?.elements?.count == 20)
    #expect(!holder.report().description.contains("0x"))
  }

  @Test func `a plugin refuses unknown options by name`() throws {
    _ = try Counter(options: [:])
    do {
      _ = try Counter(options: ["zeta": "1", "alpha": "2"])
      Issue.record("the options were taken")
    } catch {
      #expect("\(error)" == "plugin Counter has no option 'alpha'")
    }
  }

  @Test func `a plugin is named after its class, and is not idempotent`() {
    #expect(Counter().name == "Counter")
    #expect(NamedCounter().name == "NamedCounter")
    #expect(!Counter().idempotent)
  }
}
