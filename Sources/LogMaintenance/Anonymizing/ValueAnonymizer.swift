import EventLog
import TaskLogPlugin

/// Replaces the text in args, snapshots and metadata by pseudonyms.
///
/// The first pass over a log only collects the keys: `KeyPseudonyms` needs all of them to keep their
/// order.
final class ValueAnonymizer {
  let pseudonyms: Pseudonyms
  /// Whether keys are only collected.
  var isCollecting = true
  var removed = AnonymousRemovals()

  init(_ pseudonyms: Pseudonyms) {
    self.pseudonyms = pseudonyms
  }

  /// The args of an event.
  func args(_ content: Args.Content, of hook: Hook) -> Args {
    var named: [Args.Argument] = []
    named.reserveCapacity(content.named.count)
    for argument in content.named {
      if hook == .updateGraph, argument.name == "annotations" {
        named.append(.init(argument.name, anonymous(argument.value, .annotationsByKey)))
      } else {
        let (name, content) = field(argument.name)
        named.append(.init(name, anonymous(argument.value, content)))
      }
    }
    return Args(
      positional: content.positional.map { anonymous($0, .name) }, named: named)
  }

  func anonymous(_ value: Value, _ content: FieldContent) -> Value {
    switch value {
    case .null, .bool, .bigInt, .double: return value
    case .int(let number):
      guard case .processID = content else { return value }
      return .int(isCollecting ? number : pseudonyms.process(number))
    case .string(let text): return anonymous(text, content)
    case .wtf8(let bytes):
      if case .key = content { return key(value) }
      return .string(isCollecting ? "" : pseudonyms.name(wtf8: bytes))
    case .bytes, .bytearray: return bytes(content)
    case .list(let values):
      switch content {
      case .failedTasks: return .list(values.map(failedTask))
      case .code, .profile, .profileNodes:
        removed.count(content, values.isEmpty ? 0 : 1)
        return .list([])
      default: return .list(values.map { anonymous($0, content) })
      }
    case .tuple(let values):
      switch content {
      case .key, .tasks: return key(value)
      case .measures: return measure(values)
      case .code, .profile, .profileNodes: return .tuple([])
      case .byKey: return .tuple(values.map { anonymous($0, .name) })
      default: return .tuple(values.map { anonymous($0, content) })
      }
    case .set(let values): return .set(values.map { anonymous($0, content) })
    case .frozenset(let values): return .frozenset(values.map { anonymous($0, content) })
    case .dict(let entries): return dictionary(entries, content)
    case .tagged(let name, let payload): return tagged(name, payload, content)
    }
  }

  // MARK: - Text

  private func anonymous(_ text: String, _ content: FieldContent) -> Value {
    switch content {
    case .key, .tasks: return key(.string(text))
    // A list of groups, or a dictionary by group.
    case .group, .byGroup:
      if isCollecting { pseudonyms.keys.collect(bundle: text) }
    case .tracebackText, .message:
      removed.count(content, text.isEmpty ? 0 : 1)
      return .string("")
    default: break
    }
    if isCollecting { return .null }
    switch content {
    case .word, .byWord, .measures, .type: return .string(word(text))
    case .stimulus:
      return .string(AnonymousWords.all.contains(text) ? text : pseudonyms.stimulus(text))
    case .version: return .string(VersionText.known(text) ?? pseudonyms.name(text))
    case .numberText:
      let isNumber = Double(text) != nil && text.utf8.allSatisfy(Self.isOfNumber)
      return .string(isNumber ? text : pseudonyms.name(text))
    case .exceptionText: return .string(pseudonyms.exception(text))
    case .exception: return .string(pseudonyms.exception(text))
    case .duration:
      let number = text.prefix { $0.isNumber || $0 == "." }
      let isDuration = Double(number) != nil && Self.units.contains(text.dropFirst(number.count))
      return .string(isDuration ? text : pseudonyms.name(text))
    default: return .string(pseudonyms.name(text))
    }
  }

  /// Of a number, but not of `nan(…)`.
  private static func isOfNumber(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || "+-.e".utf8.contains(byte)
  }

  private static let units: Set<Substring> = ["", "ns", "us", "ms", "s", "m", "h", "d"]

  private func word(_ text: String) -> String {
    AnonymousWords.all.contains(text) ? text : pseudonyms.name(text)
  }

  /// The pseudonym of a key; of what cannot be one, such as a tuple of lists, that of any other value.
  private func key(_ value: Value) -> Value {
    guard let key = Key(value) else { return anonymous(value, .name) }
    guard isCollecting else { return pseudonyms.keys.pseudonym(of: value) }
    pseudonyms.keys.collect(key)
    return value
  }

  // MARK: - Structures

  /// The name of a field in the copy, and what it contains.
  private func field(_ name: String) -> (name: String, content: FieldContent) {
    if let content = AnonymousFields.content(of: name) { return (name, content) }
    return (isCollecting ? name : pseudonyms.name(name), .name)
  }

  private func dictionary(_ entries: [Value.Entry], _ content: FieldContent) -> Value {
    if case .exception = content { return exception(entries) }
    return .dict(
      entries.map { entry in
        switch content {
        case .fields, .word, .tasks:
          guard case .string(let text) = entry.key else {
            // The measures of spans.
            return .init(anonymous(entry.key, .measures), anonymous(entry.value, .name))
          }
          let (name, content) = field(text)
          return .init(.string(name), anonymous(entry.value, content))
        case .key: return .init(key(entry.key), anonymous(entry.value, .name))
        case .byKey(let inner): return .init(key(entry.key), anonymous(entry.value, inner))
        case .byGroup(let inner):
          return .init(anonymous(entry.key, .group), anonymous(entry.value, inner))
        case .byWord(let inner):
          return .init(anonymous(entry.key, .word), anonymous(entry.value, inner))
        case .byName(let inner):
          return .init(named(entry.key), anonymous(entry.value, inner))
        case .annotations, .annotationsByKey: return annotation(entry, content)
        case .measures:
          return .init(anonymous(entry.key, .measures), anonymous(entry.value, .name))
        case .packages: return package(entry)
        default: break
        }
        return .init(anonymous(entry.key, .name), anonymous(entry.value, .name))
      })
  }

  /// The name in a dictionary of which Dask has some itself: topics, clients.
  private static let ownNames: Set<String> = [
    "all", "scheduler", "print", "warn", "fire-and-forget",
  ]

  private func named(_ name: Value) -> Value {
    guard case .string(let text) = name, Self.ownNames.contains(text)
    else { return anonymous(name, .name) }
    return name
  }

  private func annotation(_ entry: Value.Entry, _ content: FieldContent) -> Value.Entry {
    let known = entry.key.string.flatMap { AnonymousFields.annotations[$0] }
    let name = known == nil ? anonymous(entry.key, .name) : entry.key
    guard case .annotationsByKey = content else {
      return .init(name, anonymous(entry.value, known ?? .name))
    }
    return .init(name, anonymous(entry.value, .byKey(known ?? .name)))
  }

  private func package(_ entry: Value.Entry) -> Value.Entry {
    guard let name = entry.key.string, AnonymousWords.packages.contains(name) else {
      return .init(anonymous(entry.key, .name), anonymous(entry.value, .version))
    }
    return .init(entry.key, anonymous(entry.value, .version))
  }

  /// The name of a measure: a context, what it is about (a prefix, a span), an activity, a unit.
  private func measure(_ values: [Value]) -> Value {
    .tuple(
      values.enumerated().map { index, value in
        let isWord = index == 0 || index >= values.count - 2
        return anonymous(value, isWord ? .word : .name)
      })
  }

  /// A failed task: its key, when and where, and the texts of exception and traceback.
  private func failedTask(_ value: Value) -> Value {
    guard let values = value.elements else { return anonymous(value, .name) }
    let contents: [FieldContent] = [.key, .name, .name, .exceptionText, .tracebackText]
    return .list(
      values.enumerated().map { index, value in
        anonymous(value, contents.indices.contains(index) ? contents[index] : .name)
      })
  }

  // MARK: - Objects

  /// An exception of our own engine.
  private func exception(_ entries: [Value.Entry]) -> Value {
    .dict(
      entries.map { entry in
        let name = entry.key.string
        guard name == "type" || name == "description" else {
          return .init(anonymous(entry.key, .name), anonymous(entry.value, .name))
        }
        guard !isCollecting, case .string(let text) = entry.value else {
          return .init(entry.key, anonymous(entry.value, .name))
        }
        let isType = name == "type"
        return .init(
          entry.key,
          .string(isType ? pseudonyms.exceptionType(text) : pseudonyms.exception(text)))
      })
  }

  private func bytes(_ content: FieldContent) -> Value {
    removed.pickles += 1
    switch content {
    // What reads it gets a type and an exception, though not that one.
    case .type: return .bytes(HarmlessPickle.object)
    case .exception: return .bytes(HarmlessPickle.exception)
    case .traceback: return .bytes(HarmlessPickle.none)
    default: return .opaque("redacted")
    }
  }

  private func tagged(_ name: String, _ payload: Value, _ content: FieldContent) -> Value {
    switch (name, payload) {
    case ("$shared", .list(let parts)) where parts.count == 2:
      // Only a number stays before the value.
      return .tagged(name, .list([anonymous(parts[0], .name), anonymous(parts[1], content)]))
    case ("$opaque", .string(let reason)):
      let known = ["redacted", "capped", "too deep", "circular", "unreadable", "heartbeat"]
      return .opaque(known.contains(reason) ? reason : "redacted")
    case ("$capped", .dict):
      let length = payload["bytes"].map { anonymous($0, .name) } ?? .null
      return .tagged(name, .object(["bytes": length, "head": .string("")]))
    case ("$serialized", _):
      removed.pickles += 1
      switch content {
      case .exception: return HarmlessPickle.serialized(HarmlessPickle.exception, like: payload)
      case .traceback: return HarmlessPickle.serialized(HarmlessPickle.none, like: payload)
      default: return .opaque("redacted")
      }
    case ("$python", .dict): return object(payload)
    default:
      removed.pickles += 1
      return .opaque("redacted")
    }
  }

  /// The state of a task, a worker or a client is its name; other objects are removed.
  private func object(_ described: Value) -> Value {
    let contents: [String: FieldContent] = [
      "distributed.scheduler.WorkerState": .name, "distributed.scheduler.ClientState": .name,
      "distributed.scheduler.TaskState": .key,
    ]
    guard let type = described["type"]?.string, let content = contents[type],
      let state = described["state"]
    else {
      removed.pickles += 1
      return .opaque("redacted")
    }
    return .tagged(
      "$python",
      .object(["type": .string(type), "repr": .string(""), "state": anonymous(state, content)]))
  }
}

/// What was removed from an anonymised copy, as opposed to replaced.
package struct AnonymousRemovals: Sendable, Equatable {
  package var tracebacks = 0
  package var messages = 0
  package var profiles = 0
  package var code = 0
  package var commandLines = 0
  /// Pickles and other binary values.
  package var pickles = 0

  mutating func count(_ content: FieldContent, _ number: Int) {
    switch content {
    case .tracebackText: tracebacks += number
    case .message: messages += number
    case .profile: profiles += number
    case .code: code += number
    default: break
    }
  }
}
