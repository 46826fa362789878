import TaskLogPlugin

/// Transitions that are to follow: Dask's `Recs`.
///
/// Like Dask's it is a dictionary that is worked off from its end: a key that is recommended again
/// keeps its place and gets the new state.
struct Recommendations {
  private var states = OrderedMap<Key, State>()

  var isEmpty: Bool { states.isEmpty }

  subscript(key: Key) -> State? {
    get { states[key] }
    set { states[key] = newValue }
  }

  mutating func update(_ others: Recommendations) {
    if states.isEmpty {
      states = others.states
      return
    }
    for (key, state) in others.states { states[key] = state }
  }

  mutating func popLast() -> (key: Key, state: State)? {
    states.popLast().map { ($0.key, $0.value) }
  }
}

/// A table of edges: which function decides a transition from one state to another.
struct EdgeTable<Function: Sendable>: Sendable {
  /// By the places of start and finish among the known states.
  private var functions: [Function?]
  /// Every edge, in the order of the chart.
  let edges: [(start: State, finish: State)]

  init(_ edges: [(State, State, Function)]) {
    self.edges = edges.map { ($0.0, $0.1) }
    functions = Array(repeating: nil, count: State.known.count * State.known.count)
    for (start, finish, function) in edges {
      if let place = Self.place(start, finish) { functions[place] = function }
    }
  }

  subscript(start: State, finish: State) -> Function? {
    Self.place(start, finish).flatMap { functions[$0] }
  }

  private static func place(_ start: State, _ finish: State) -> Int? {
    guard let row = start.knownPlace, let column = finish.knownPlace else { return nil }
    return row * State.known.count + column
  }
}

/// What a transition was asked for with.
struct Request {
  var stimulusID: String
  /// Nanoseconds since 1970 UTC.
  var time: Int64
  /// Facts that the core cannot know, under Dask's names; they go to the plugins as they are.
  var args: Args = .none
  /// Facts that plugins look up rather than are told.
  var facts: TaskFacts?
}

/// A violated assumption of a core: a fault of the engine, never of its user.
struct EngineFault: Error, CustomStringConvertible {
  var description: String
}
