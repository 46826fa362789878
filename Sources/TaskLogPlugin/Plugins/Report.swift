/// Converts reports of plugins to values.
public enum Report {
  /// The stored properties of an object by name, except references to the scheduler or worker.
  public static func storedProperties(of object: Any) -> Value {
    var entries: [Value.Entry] = []
    var mirror: Mirror? = Mirror(reflecting: object)
    while let current = mirror {
      let own: [Value.Entry] = current.children.compactMap { child in
        guard let label = child.label, !isSchedulerOrWorker(child.value) else { return nil }
        return Value.Entry(.string(label), value(of: child.value))
      }
      entries = own + entries
      mirror = current.superclassMirror
    }
    return .dict(entries)
  }

  private static func isSchedulerOrWorker(_ value: Any) -> Bool {
    switch unwrapped(value) {
    case is Scheduler, is Worker, is SchedulerState, is WorkerState: return true
    default:
      // An optional that is `nil`.
      let optionalTypes: [Any.Type] = [
        Scheduler?.self, Worker?.self, SchedulerState?.self, WorkerState?.self,
      ]
      return optionalTypes.contains { $0 == type(of: value) }
    }
  }

  /// The content of an optional, or the value itself; an empty optional is returned unchanged.
  private static func unwrapped(_ value: Any) -> Any {
    let mirror = Mirror(reflecting: value)
    guard mirror.displayStyle == .optional, let content = mirror.children.first else {
      return value
    }
    return unwrapped(content.value)
  }

  /// A Swift value as a value of the log: numbers, text and collections keep their types,
  /// dictionaries are ordered by their keys, anything else becomes its description.
  public static func value(of any: Any) -> Value {
    let content = unwrapped(any)
    switch content {
    case let value as Value: return value
    case let value as Bool: return .bool(value)
    case let value as Int: return .int(Int64(value))
    case let value as any BinaryInteger:
      return Int64(exactly: value).map(Value.int) ?? .bigInt(String(value))
    case let value as Double: return .double(value)
    case let value as Float: return .double(Double(value))
    case let value as String: return .string(value)
    case let value as Key: return .string(value.text)
    case let value as State: return .string(value.name)
    default: break
    }
    let mirror = Mirror(reflecting: content)
    switch mirror.displayStyle {
    case .optional: return .null
    case .collection: return .list(mirror.children.map { value(of: $0.value) })
    case .set:
      return .list(mirror.children.map { value(of: $0.value) }.sorted(by: isBefore))
    case .dictionary:
      let entries = mirror.children.map { child in
        let pair = Mirror(reflecting: child.value).children.map { value(of: $0.value) }
        return Value.Entry(pair.first ?? .null, pair.last ?? .null)
      }
      return .dict(entries.sorted { isBefore($0.key, $1.key) })
    case .tuple: return .tuple(mirror.children.map { value(of: $0.value) })
    case .struct where !mirror.children.isEmpty && !(content is any CustomStringConvertible):
      return storedProperties(of: content)
    default: return .string(String(describing: content))
    }
  }

  /// A fixed order, so that equal reports have equal text.
  private static func isBefore(_ a: Value, _ b: Value) -> Bool {
    // Large integers that differ can be equal as floats.
    if let a = a.int, let b = b.int { return a < b }
    if let a = a.number, let b = b.number, a != b { return a < b }
    return a.description.utf8.lexicographicallyPrecedes(b.description.utf8)
  }
}
