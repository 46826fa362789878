/// What a hook throws when its plugin has seen enough:
///
///     func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws {
///       if finish == .erred {
///         firstFailure = key
///         throw StopReplay()
///       }
///     }
///
/// It is no failure. The plugin is not called any more, live or in a replay, and still reports; a
/// replay ends when no plugin wants to be called.
public struct StopReplay: Error, Sendable {
  public init() {}
}
