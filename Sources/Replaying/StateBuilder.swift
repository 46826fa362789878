import EventLog
import TaskLogPlugin

/// What plugins on a scheduler, or on a worker, can look at.
protocol RebuiltState: AnyObject {
  init(unknown: [UnavailableState])
  init(saved: Value, unknown: [UnavailableState]) throws
  func saved(limit: Int) -> Value?
  func apply(_ event: Event)
  func settle()
  var mismatchCount: Int { get }
  var unknown: [UnavailableState] { get }
}

extension SchedulerState: RebuiltState {}
extension WorkerState: RebuiltState {
  convenience init(unknown: [UnavailableState]) { self.init(facts: nil, unknown: unknown) }
}

/// A state that is built when someone first looks at it, from then on with every event.
///
/// The first look reads the events of the source from the log once more, up to the present one. A
/// plugin that never looks costs nothing.
final class StateBuilder<State: RebuiltState> {
  private let ignorance: [UnavailableState]
  private let history: () throws -> SourceCursor
  // Looked at for each event; one thread replays, and `apply` does not come back here.
  @exclusivity(unchecked) private(set) var state: State?
  /// The event that plugins are being called with, or the last one that they were called with.
  @exclusivity(unchecked) private(set) var present: Int64 = 0
  /// While plugins are being called the present event is applied but not settled.
  private var isSettled = true
  /// Why the state could not be built.
  private(set) var failure: (any Error)?

  /// - Parameter unknown: what the log cannot tell of the state.
  init(unknown: [UnavailableState], history: @escaping () throws -> SourceCursor) {
    ignorance = unknown
    self.history = history
  }

  /// The next event of the source has come.
  func advance(_ recorded: RecordedEvent) {
    present = recorded.sourceSeq
    isSettled = false
    state?.apply(recorded.event)
  }

  /// Plugins have been called.
  func finishEvent() {
    isSettled = true
    state?.settle()
  }

  /// Plugins were called up to this event, by an earlier replay.
  ///
  /// - Parameter saved: the state of then; nothing when nobody had looked at it.
  /// - Throws: `SavedStateError`.
  func goOn(behind sourceSeq: Int64, with saved: Value?) throws {
    present = sourceSeq
    isSettled = true
    state = try saved.map { try State(saved: $0, unknown: ignorance) }
  }

  /// The state as a value; nothing when nobody has looked at it, or it has more tasks than so many.
  func saved(limit: Int) -> Value? { state?.saved(limit: limit) }

  /// The state as of the present event.
  func look() -> State {
    if let state { return state }
    let built = State(unknown: ignorance)
    do {
      let cursor = try history()
      while let recorded = try cursor.nextEvent(), recorded.sourceSeq <= present {
        built.apply(recorded.event)
        if recorded.sourceSeq < present || isSettled { built.settle() }
      }
    } catch {
      failure = error
    }
    state = built
    return built
  }
}
