import TestSupport

@testable import Scheduling
@testable import TaskLogPlugin

/// Tasks that depend on earlier ones, some of which fail: their outcomes are known beforehand.
struct RandomGraph {
  enum Outcome: Equatable {
    case value(Int)
    /// Fails because of this task.
    case failure(blame: Key)
  }

  struct Task {
    var new: NewTask
    /// How often it fails before it succeeds; `nil` if it always fails.
    var failures: Int?
    /// How often it reschedules itself first.
    var reschedules = 0
    var secedes = false
  }

  private(set) var tasks: [Key: Task] = [:]
  private(set) var keys: [Key]

  init(count: Int, using random: inout SplitMix64) {
    // Without dependencies the groups are large ones of root tasks.
    let width = Int.random(in: 0...3, using: &random)
    let breaks = random.once(in: 2)
    var keys: [Key] = []
    for index in 0..<count {
      let key = random.once(in: 3) ? Key("part-\(index % 3)", index) : Key("task-\(index)")
      var dependencies: [Key] = []
      for _ in 0..<Int.random(in: 0...width, using: &random) where !keys.isEmpty {
        // Mostly near ones, so that there are long chains.
        let nearest = random.once(in: 2) ? max(0, keys.count - 4) : 0
        let other = keys[Int.random(in: nearest..<keys.count, using: &random)]
        if !dependencies.contains(other) { dependencies.append(other) }
      }
      let retries = random.once(in: 4) ? Int.random(in: 1...2, using: &random) : 0
      let new = NewTask(
        key: key, dependencies: dependencies,
        userPriority: Double(Int.random(in: 0...2, using: &random)), retries: retries,
        annotations: random.once(in: 8) ? [.init("color", .int(Int64(index)))] : [],
        workers: random.once(in: 6) ? ["w0", "w2"] : [], allowOtherWorkers: true,
        resources: random.once(in: 6) ? [Resource("GPU", random.once(in: 2) ? 1 : 2)] : [])
      let fails = breaks && random.once(in: 12)
      tasks[key] = Task(
        new: new, failures: fails ? nil : Int.random(in: 0...retries, using: &random),
        reschedules: random.once(in: 10) ? 1 : 0, secedes: random.once(in: 8))
      keys.append(key)
    }
    self.keys = keys
  }

  /// One more task, which depends on something that is not a task.
  mutating func add(_ key: Key, needing data: Key) -> Key {
    tasks[key] = Task(new: NewTask(key: key, dependencies: [data]), failures: 0)
    keys.append(key)
    return key
  }

  /// These and all of their dependencies, in the order of the graph.
  func tasks(for wanted: [Key]) -> [NewTask] {
    var needed: Set<Key> = []
    var stack = wanted
    while let key = stack.popLast() {
      guard needed.insert(key).inserted, let task = tasks[key] else { continue }
      stack += task.new.dependencies
    }
    return keys.filter(needed.contains).compactMap { tasks[$0]?.new }
  }

  /// The result of a task for its inputs.
  static func value(of key: Key, _ inputs: [Int]) -> Int {
    inputs.reduce(key.text.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) % 10_007 }) { sum, input in
      (sum &* 3 &+ input) % 1_000_003
    }
  }

  /// The outcome of each task when they run one after the other.
  func serialOutcomes() -> [Key: Outcome] {
    var outcomes: [Key: Outcome] = [:]
    for key in keys {
      guard let task = tasks[key] else { continue }
      var inputs: [Int] = []
      var failure: Outcome?
      for dependency in task.new.dependencies {
        switch outcomes[dependency] {
        case .value(let value): inputs.append(value)
        case let other: failure = failure ?? other
        }
      }
      if let failure {
        outcomes[key] = failure
      } else if task.failures == nil {
        outcomes[key] = .failure(blame: key)
      } else {
        outcomes[key] = .value(Self.value(of: key, inputs))
      }
    }
    return outcomes
  }
}
