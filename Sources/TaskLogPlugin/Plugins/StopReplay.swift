/// Thrown by a hook whose plugin needs no further events:
///
///     func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
///       if finish == .erred {
///         firstFailure = key
///         throw StopReplay()
///       }
///     }
///
/// This is not a failure. The plugin is not called again, live or in a replay, and still reports; a
/// replay ends when all plugins have stopped.
public struct StopReplay: Error, Sendable {
  public init() {}
}
