import LogFormat
import TaskLogPlugin

/// The message of the RabbitMQ plugin in Dask's documentation: a state transition of a task.
///
///     {"key": "inc-1", "start": "processing", "finish": "memory"}
///
/// It has no identity: the same message twice is two transitions, or one transition that was
/// delivered twice.
package struct TransitionMessage: Sendable {
  package var key: Key
  package var start: State
  package var finish: State
  /// The remaining fields of the message.
  package var args: Args

  init(_ value: Value) throws(MessageError) {
    guard case .dict(let entries) = value, let key = value["key"],
      let start = value["start"]?.string, let finish = value["finish"]?.string
    else { throw MessageError("has no 'key', 'start' and 'finish', and no 'tasklog'") }
    guard let key = Key(Self.asKey(key)) else { throw MessageError("'key' is not a task's key") }
    self.key = key
    self.start = State(start)
    self.finish = State(finish)
    args = Args(
      named: entries.compactMap { entry in
        guard let name = entry.key.string, !["key", "start", "finish"].contains(name) else {
          return nil
        }
        return Args.Argument(name, entry.value)
      })
  }

  /// Plain JSON has no tuples: a tuple key arrives as a list.
  private static func asKey(_ value: Value) -> Value {
    guard case .list(let elements) = value else { return value }
    return .tuple(elements.map(asKey))
  }

  /// The message of an event; `nil` if it is not a transition.
  ///
  /// - Throws: `MessagePackError`.
  package static func bytes(_ event: EncodedEvent, _ json: inout JSONWriter) throws -> [UInt8]? {
    let event = try event.decoded()
    guard event.hook == .transition, let key = event.key, let start = event.start,
      let finish = event.finish
    else { return nil }
    json.removeAll()
    json.raw("{\"key\":")
    try json.write(plain(key.value))
    json.raw(",\"start\":")
    try json.write(.string(start.name))
    json.raw(",\"finish\":")
    try json.write(.string(finish.name))
    json.raw("}")
    return json.output
  }

  /// A key as written by Python's `json.dumps`.
  private static func plain(_ key: Value) -> Value {
    guard let elements = key.elements else { return key }
    return .list(elements.map(plain))
  }
}
