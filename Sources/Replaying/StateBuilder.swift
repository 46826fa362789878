import EventLog
import TaskLogPlugin

/// A state that is built when someone first looks at it, from then on with every event.
///
/// The first look reads the events of the source from the log once more, up to the present one. A
/// plugin that never looks costs nothing.
final class StateBuilder<State> {
  private let make: () -> State
  private let apply: (State, Event) -> Void
  private let settle: (State) -> Void
  private let history: () throws -> SourceCursor
  // Looked at for each event; one thread replays, and `apply` does not come back here.
  @exclusivity(unchecked) private(set) var state: State?
  /// The event that plugins are being called with, or the last one that they were called with.
  @exclusivity(unchecked) private(set) var present: Int64 = 0
  /// While plugins are being called the present event is applied but not settled.
  private var isSettled = true
  /// Why the state could not be built.
  private(set) var failure: (any Error)?

  init(
    make: @escaping () -> State, apply: @escaping (State, Event) -> Void,
    settle: @escaping (State) -> Void, history: @escaping () throws -> SourceCursor
  ) {
    self.make = make
    self.apply = apply
    self.settle = settle
    self.history = history
  }

  /// The next event of the source has come.
  func advance(_ recorded: RecordedEvent) {
    present = recorded.sourceSeq
    isSettled = false
    if let state { apply(state, recorded.event) }
  }

  /// Plugins have been called.
  func finishEvent() {
    isSettled = true
    if let state { settle(state) }
  }

  /// Plugins were called up to this event, by an earlier replay.
  func goOn(behind sourceSeq: Int64) {
    present = sourceSeq
    isSettled = true
  }

  /// The state as of the present event.
  func look() -> State {
    if let state { return state }
    let built = make()
    do {
      let cursor = try history()
      while let recorded = try cursor.nextEvent(), recorded.sourceSeq <= present {
        apply(built, recorded.event)
        if recorded.sourceSeq < present || isSettled { settle(built) }
      }
    } catch {
      failure = error
    }
    state = built
    return built
  }
}
