/// The dependencies of each task by index, without duplicates.
struct NeedTable {
  private var starts: [Int32]
  private var needs: [Int32] = []

  init(_ tasks: TaskTable) {
    let (edgeTasks, edgeNeeds) = tasks.edges
    // Grouped by task, in order of arrival: a counting sort.
    starts = [Int32](repeating: 0, count: tasks.slots.count + 1)
    for task in edgeTasks { starts[Int(task) + 1] += 1 }
    for index in 1..<max(1, starts.count) { starts[index] += starts[index - 1] }
    var sorted = [Int32](repeating: 0, count: edgeNeeds.count)
    var next = starts
    for (task, need) in zip(edgeTasks, edgeNeeds) {
      sorted[Int(next[Int(task)])] = need
      next[Int(task)] += 1
    }
    needs.reserveCapacity(sorted.count)
    for task in tasks.slots.indices {
      // A graph that was submitted again has the same edges again.
      let unique = Set(sorted[Int(starts[task])..<Int(starts[task + 1])]).sorted()
      starts[task] = Int32(needs.count)
      needs += unique
    }
    starts[tasks.slots.count] = Int32(needs.count)
  }

  var count: Int { needs.count }

  /// In ascending order.
  subscript(task: Int) -> ArraySlice<Int32> { needs[Int(starts[task])..<Int(starts[task + 1])] }
}
