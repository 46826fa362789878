import TaskLogPlugin

/// Recommended transitions: Dask's `Recs`.
///
/// Like Dask's it is a dictionary that is processed from its end: a task that is recommended again
/// keeps its position and gets the new state.
struct Recommendations<Task: AnyObject> {
  private typealias Entry = (task: Task, state: State)

  /// Usually there is only one, which needs no allocation.
  private var first: Entry?
  private var others = OrderedMap<Identity, Entry>()

  var isEmpty: Bool { first == nil && others.isEmpty }

  subscript(task: Task) -> State? {
    get {
      if let first, first.task === task { return first.state }
      return others.isEmpty ? nil : others[Identity(task)]?.state
    }
    set {
      if let entry = first, entry.task === task {
        first = newValue.map { (task, $0) }
      } else if first == nil, others.isEmpty {
        first = newValue.map { (task, $0) }
      } else {
        others[Identity(task)] = newValue.map { (task, $0) }
      }
    }
  }

  mutating func update(_ more: Recommendations) {
    if isEmpty {
      self = more
      return
    }
    if let entry = more.first { self[entry.task] = entry.state }
    for (_, entry) in more.others { self[entry.task] = entry.state }
  }

  mutating func popLast() -> (task: Task, state: State)? {
    if let (_, entry) = others.popLast() { return entry }
    defer { first = nil }
    return first
  }
}
