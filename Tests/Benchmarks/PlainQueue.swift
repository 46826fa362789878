import Synchronization
import TestSupport

/// The least code that runs the graph of the engine's benchmark: one locked queue, some threads,
/// and for each sum a count of the missing inputs.
final class PlainQueue: Sendable {
  private struct Node {
    var parent: Int
    var inputs: Range<Int>
    var missing: Int
  }

  private struct State {
    var nodes: [Node] = []
    var results: [Int] = []
    var ready: [Int] = []
    var next = 0
  }

  private let state = Mutex(State())
  private let run: @Sendable (Int) -> Int = { $0 + 1 }
  private let sum: @Sendable ([Int]) -> Int = { $0.reduce(0, +) }

  /// Seconds from the building of the graph to its sum.
  static func seconds(_ tasks: Int, branches: Int, threads count: Int) -> Double {
    let start = ContinuousClock.now
    let queue = PlainQueue(tasks, branches)
    onThreads(count) { _ in queue.work() }
    let total = queue.state.withLock { $0.results.last }
    precondition(total == tasks * (tasks + 1) / 2)
    return (ContinuousClock.now - start) / .seconds(1)
  }

  private init(_ tasks: Int, _ branches: Int) {
    var nodes = (0..<tasks).map { _ in Node(parent: -1, inputs: 0..<0, missing: 0) }
    var level = 0..<tasks
    while level.count > 1 {
      let first = nodes.count
      for start in stride(from: level.lowerBound, to: level.upperBound, by: branches) {
        let inputs = start..<min(start + branches, level.upperBound)
        for input in inputs { nodes[input].parent = nodes.count }
        nodes.append(Node(parent: -1, inputs: inputs, missing: inputs.count))
      }
      level = first..<nodes.count
    }
    let all = nodes
    state.withLock { state in
      state.results = Array(repeating: 0, count: all.count)
      state.nodes = all
      state.ready = Array(0..<tasks)
    }
  }

  /// A thread ends if nothing is ready: the thread that runs the last input of a sum runs the sum.
  private func work() {
    while let (place, inputs) = next() {
      let result = inputs.isEmpty ? run(place) : sum(inputs)
      state.withLock { state in
        state.results[place] = result
        let parent = state.nodes[place].parent
        guard parent >= 0 else { return }
        state.nodes[parent].missing -= 1
        if state.nodes[parent].missing == 0 { state.ready.append(parent) }
      }
    }
  }

  private func next() -> (place: Int, inputs: [Int])? {
    state.withLock { state in
      guard state.next < state.ready.count else { return nil }
      let place = state.ready[state.next]
      state.next += 1
      return (place, Array(state.results[state.nodes[place].inputs]))
    }
  }
}
