import EventLog
import TaskLogPlugin

/// The state that plugins of a scheduler or a worker can access.
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

/// A state that is built on the first access and then updated with every event.
///
/// The first access reads the events of the source from the log again, up to the current one. A
/// plugin that never accesses the state costs nothing.
final class StateBuilder<State: RebuiltState> {
  private let unavailable: [UnavailableState]
  private let history: () throws -> SourceCursor
  // Accessed for each event; one thread replays, and `apply` does not access it.
  @exclusivity(unchecked) private(set) var state: State?
  /// The source_seq of the event that plugins are being called with, or were last called with.
  @exclusivity(unchecked) private(set) var currentSourceSeq: Int64 = 0
  /// `false` while plugins are being called: the current event is applied but not settled.
  private var isSettled = true
  /// Why the state could not be built.
  private(set) var failure: (any Error)?

  /// - Parameter unknown: the parts of the state that the log does not contain.
  init(unknown: [UnavailableState], history: @escaping () throws -> SourceCursor) {
    unavailable = unknown
    self.history = history
  }

  /// Advances to the next event of the source.
  func advance(_ recorded: RecordedEvent) {
    currentSourceSeq = recorded.sourceSeq
    isSettled = false
    state?.apply(recorded.event)
  }

  /// Ends an event, after plugins have been called.
  func finishEvent() {
    isSettled = true
    state?.settle()
  }

  /// Resumes after an event up to which an earlier replay has called the plugins.
  ///
  /// - Parameter saved: the saved state; `nil` if no plugin had accessed it.
  /// - Throws: `SavedStateError`.
  func resume(after sourceSeq: Int64, with saved: Value?) throws {
    currentSourceSeq = sourceSeq
    isSettled = true
    state = try saved.map { try State(saved: $0, unknown: unavailable) }
  }

  /// The state as a value; `nil` if no plugin has accessed it or it has more tasks than `limit`.
  func saved(limit: Int) -> Value? { state?.saved(limit: limit) }

  /// The state as of the current event.
  func currentState() -> State {
    if let state { return state }
    let built = State(unknown: unavailable)
    do {
      let cursor = try history()
      while let recorded = try cursor.nextEvent(), recorded.sourceSeq <= currentSourceSeq {
        built.apply(recorded.event)
        if recorded.sourceSeq < currentSourceSeq || isSettled { built.settle() }
      }
    } catch {
      failure = error
    }
    state = built
    return built
  }
}
