/// Messages sent to an actor, in the order of sending.
///
/// One wake-up serves any number of messages: the sender that finds the inbox empty wakes the
/// actor, which then takes all messages at once.
final class Inbox<Message: Sendable>: Sendable {
  private struct State {
    var messages: [Message] = []
    var isAwake = false
  }

  private let state = Lock(State())

  /// Appends a message; returns `true` if the actor must be woken.
  func put(_ message: Message) -> Bool {
    state.withLock { state in
      state.messages.append(message)
      defer { state.isAwake = true }
      return !state.isAwake
    }
  }

  /// Appends several messages; returns `true` if the actor must be woken.
  func put(_ messages: [Message]) -> Bool {
    state.withLock { state in
      if state.messages.isEmpty {
        state.messages = messages
      } else {
        state.messages += messages
      }
      defer { state.isAwake = true }
      return !state.isAwake
    }
  }

  /// Removes and returns all messages; if there are none, the next message wakes the actor again.
  func take() -> [Message] {
    state.withLock { state in
      if state.messages.isEmpty { state.isAwake = false }
      var taken: [Message] = []
      swap(&taken, &state.messages)
      return taken
    }
  }
}
