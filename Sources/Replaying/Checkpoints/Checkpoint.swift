import EventLog
import TaskLogPlugin

/// The position of a replay between two events, and the state of its plugins there.
struct Checkpoint {
  /// A source whose plugins were called.
  struct SourceState: Equatable {
    var id: String
    /// The last event that they were called with, by its number in the source and in the log.
    var sourceSeq: Int64
    var seq: Int64
    /// The number of earlier events of the source known to be missing: changes when a log is
    /// pruned.
    var missing: Int64
    var firstSourceSeq: Int64
  }

  /// One plugin on one source.
  struct Instance {
    var source: String
    /// The index of the plugin in the order of adding.
    var plugin: Int
    /// The plugin asked to stop.
    var isDone: Bool
    var state: Value
  }

  /// The order of events, and the position in it.
  var place: ResumePoint
  var sources: [SourceState]
  var instances: [Instance]
  /// The state that plugins had accessed, by the ID of its source. A source without an entry is
  /// rebuilt from the log when a plugin accesses its state.
  var states: [String: Value] = [:]

  private static let version: Int64 = 2
}

extension Checkpoint {
  var value: Value {
    .object([
      "version": .int(Self.version), "position": .int(place.position), "known": .int(place.known),
      "largestKey": .int(place.largestKey), "isCausal": .bool(place.isCausal),
      "waiting": .dict(
        place.waiting.sorted { $0.key < $1.key }.map { .init(.int($0.key), .int($0.value)) }),
      "events": .int(place.count), "damaged": .int(Int64(place.damagedCount)),
      "outOfOrder": .int(Int64(place.outOfOrderCount)),
      "sources": .list(
        sources.map { source in
          .object([
            "id": .string(source.id), "sourceSeq": .int(source.sourceSeq), "seq": .int(source.seq),
            "missing": .int(source.missing), "firstSourceSeq": .int(source.firstSourceSeq),
          ])
        }),
      "instances": .list(
        instances.map { instance in
          .object([
            "source": .string(instance.source), "plugin": .int(Int64(instance.plugin)),
            "isDone": .bool(instance.isDone), "state": instance.state,
          ])
        }),
      "states": .dict(
        states.sorted { $0.key < $1.key }.map { .init(.string($0.key), $0.value) }),
    ])
  }

  /// `nil` if the value has another version or is not a checkpoint.
  init?(_ value: Value) {
    func integer(_ name: String) -> Int64? { value[name]?.int }
    guard integer("version") == Self.version, let position = integer("position"),
      let known = integer("known"), let largestKey = integer("largestKey"),
      let isCausal = value["isCausal"]?.bool, case .dict(let waiting)? = value["waiting"],
      let count = integer("events"), let damaged = integer("damaged").flatMap(Int.init(exactly:)),
      let outOfOrder = integer("outOfOrder").flatMap(Int.init(exactly:)),
      let sources = value["sources"]?.elements, let instances = value["instances"]?.elements,
      case .dict(let states)? = value["states"]
    else { return nil }
    place = ResumePoint(
      position: position, known: known, largestKey: largestKey, isCausal: isCausal,
      waiting: Dictionary(
        waiting.compactMap { entry in
          entry.key.int.flatMap { source in entry.value.int.map { (source, $0) } }
        }, uniquingKeysWith: min),
      count: count, damagedCount: damaged, outOfOrderCount: outOfOrder)
    self.sources = sources.compactMap { value in
      guard let id = value["id"]?.string, let sourceSeq = value["sourceSeq"]?.int,
        let seq = value["seq"]?.int, let missing = value["missing"]?.int,
        let first = value["firstSourceSeq"]?.int
      else { return nil }
      return SourceState(
        id: id, sourceSeq: sourceSeq, seq: seq, missing: missing, firstSourceSeq: first)
    }
    self.instances = instances.compactMap { value in
      guard let source = value["source"]?.string,
        let plugin = value["plugin"]?.int.flatMap(Int.init(exactly:)),
        let isDone = value["isDone"]?.bool, let state = value["state"]
      else { return nil }
      return Instance(source: source, plugin: plugin, isDone: isDone, state: state)
    }
    for entry in states { if let id = entry.key.string { self.states[id] = entry.value } }
    guard self.sources.count == sources.count, self.instances.count == instances.count,
      self.states.count == states.count
    else { return nil }
  }
}
