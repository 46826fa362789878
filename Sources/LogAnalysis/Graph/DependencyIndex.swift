import EventLog
import LogFormat
import TaskLogPlugin

/// The dependencies and dependents of each task of a run.
///
/// A task is a number, and a key is represented only by a hash of its JSON, so that a million tasks
/// with two million edges take 40 MB; two keys with the same hash would be confused, which for a
/// million keys has a chance of one in thirty million.
package struct DependencyIndex: Sendable {
  /// Ascending; the index of a hash is the number of its task.
  private var hashes: [UInt64] = []
  private var needed = Neighbours()
  private var needing = Neighbours()

  /// Adjacency list: the neighbours of task n are at `starts[n]..<starts[n + 1]`.
  private struct Neighbours {
    var starts: [Int32] = []
    var tasks: [Int32] = []

    init() {}

    init(_ edges: [(UInt64, UInt64)], _ hashes: [UInt64], count: Int) {
      starts = [Int32](repeating: 0, count: count + 1)
      tasks.reserveCapacity(edges.count)
      var task = 0
      // Both are in ascending order.
      for edge in edges {
        while task < count, hashes[task] < edge.0 {
          task += 1
          starts[task] = Int32(truncatingIfNeeded: tasks.count)
        }
        tasks.append(Int32(truncatingIfNeeded: DependencyIndex.place(of: edge.1, in: hashes) ?? 0))
      }
      while task < count {
        task += 1
        starts[task] = Int32(truncatingIfNeeded: tasks.count)
      }
    }

    subscript(task: Int) -> ArraySlice<Int32> {
      guard task + 1 < starts.count else { return [] }
      return tasks[Int(starts[task])..<Int(starts[task + 1])]
    }
  }

  /// No tasks.
  package init() {}

  /// - Parameter edges: pairs of a task and one of its dependencies.
  init(_ edges: inout [(UInt64, UInt64)]) {
    edges.sort { $0 < $1 }
    Self.removeRepeats(&edges, ==)
    hashes.reserveCapacity(edges.count * 2)
    for edge in edges { hashes += [edge.0, edge.1] }
    hashes.sort()
    Self.removeRepeats(&hashes, ==)
    needed = Neighbours(edges, hashes, count: hashes.count)
    for place in edges.indices { edges[place] = (edges[place].1, edges[place].0) }
    edges.sort { $0 < $1 }
    needing = Neighbours(edges, hashes, count: hashes.count)
  }

  /// Sorts in place, so that no more memory is needed. Equal elements are adjacent.
  private static func removeRepeats<Element>(
    _ elements: inout [Element], _ areEqual: (Element, Element) -> Bool
  ) {
    var end = 0
    for place in elements.indices where end == 0 || !areEqual(elements[end - 1], elements[place]) {
      elements[end] = elements[place]
      end += 1
    }
    elements.removeLast(elements.count - end)
  }

  private static func place(of hash: UInt64, in hashes: [UInt64]) -> Int? {
    var (low, high) = (0, hashes.count)
    while low < high {
      let middle = (low + high) / 2
      if hashes[middle] < hash { low = middle + 1 } else { high = middle }
    }
    return low < hashes.count && hashes[low] == hash ? low : nil
  }

  /// The number of tasks with a dependency or a dependent.
  package var count: Int { hashes.count }

  /// The number of dependencies.
  package var edgeCount: Int { needed.tasks.count }

  /// The number of a task; `nil` if it has no dependencies and no dependents.
  package func task(hash: UInt64) -> Int? { Self.place(of: hash, in: hashes) }

  /// The hash of the key of a task.
  package func hash(of task: Int) -> UInt64 { hashes[task] }

  /// The dependencies of a task.
  package func dependencies(of task: Int) -> ArraySlice<Int32> { needed[task] }

  /// The dependents of a task.
  package func dependents(of task: Int) -> ArraySlice<Int32> { needing[task] }
}

extension LogReader {
  /// The dependencies of all tasks of a run; see `TaskGraphReader`.
  ///
  /// - Throws: `LogError`.
  package func dependencies(of run: RunInfo) throws -> DependencyIndex {
    try translating {
      var edges: [(UInt64, UInt64)] = try readGraph(of: run) { _, node, edges in
        for dependency in node.dependencies { edges.append((node.key, dependency)) }
      }
      return DependencyIndex(&edges)
    }
  }
}
