/// Messages on their way to an actor, in the order in which they were sent.
///
/// One wake-up serves any number of messages: whoever sends to an empty inbox wakes the actor, which
/// then takes all of them at once.
final class Inbox<Message: Sendable>: Sendable {
  private struct State {
    var messages: [Message] = []
    var isAwake = false
  }

  private let state = Lock(State())

  /// Puts a message in; true when the actor has to be woken.
  func put(_ message: Message) -> Bool {
    state.withLock { state in
      state.messages.append(message)
      defer { state.isAwake = true }
      return !state.isAwake
    }
  }

  /// Puts several messages in; true when the actor has to be woken.
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

  /// Takes out all messages; when there are none, the next one wakes the actor again.
  func take() -> [Message] {
    state.withLock { state in
      if state.messages.isEmpty { state.isAwake = false }
      var taken: [Message] = []
      swap(&taken, &state.messages)
      return taken
    }
  }
}
