import TaskLogPlugin

/// A table of edges: maps a transition from one state to another to the function that decides it.
struct EdgeTable<Function: Sendable>: Sendable {
  /// Indexed by the positions of start and finish among the known states.
  private var functions: [Function?]
  /// Every edge, in the order of the chart.
  let edges: [(start: State, finish: State)]

  init(_ edges: [(State, State, Function)]) {
    self.edges = edges.map { ($0.0, $0.1) }
    functions = Array(repeating: nil, count: State.known.count * State.known.count)
    for (start, finish, function) in edges {
      if let index = Self.index(start, finish) { functions[index] = function }
    }
  }

  subscript(start: State, finish: State) -> Function? {
    Self.index(start, finish).flatMap { functions[$0] }
  }

  private static func index(_ start: State, _ finish: State) -> Int? {
    guard let row = start.knownIndex, let column = finish.knownIndex else { return nil }
    return row * State.known.count + column
  }
}
