import EventLog
import TaskLogPlugin

/// Where a replay was between two events, and what its plugins had in themselves there.
struct Checkpoint {
  /// A source whose plugins were called.
  struct SourceState: Equatable {
    var id: String
    /// The last event that they were called with, by its number in the source and in the log.
    var sourceSeq: Int64
    var seq: Int64
    /// What of the source lay before that and is known to be missing: changes when a log is pruned.
    var missing: Int64
    var firstSourceSeq: Int64
  }

  /// One plugin on one source.
  struct Instance {
    var source: String
    /// Its place in the order of adding.
    var plugin: Int
    /// It has seen enough.
    var isDone: Bool
    var state: Value
  }

  /// In what order events came, and how far.
  var place: ResumePoint
  var sources: [SourceState]
  var instances: [Instance]
  /// What plugins had looked at of each source, by its id. Where there is none it is rebuilt from the
  /// log when a plugin looks.
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

  /// Nothing when it is of another version, or no checkpoint at all.
  init?(_ value: Value) {
    func number(_ name: String) -> Int64? { value[name]?.int }
    guard number("version") == Self.version, let position = number("position"),
      let known = number("known"), let largestKey = number("largestKey"),
      let isCausal = value["isCausal"]?.bool, case .dict(let waiting)? = value["waiting"],
      let count = number("events"), let damaged = number("damaged").flatMap(Int.init(exactly:)),
      let forced = number("outOfOrder").flatMap(Int.init(exactly:)),
      let sources = value["sources"]?.elements, let instances = value["instances"]?.elements,
      case .dict(let states)? = value["states"]
    else { return nil }
    place = ResumePoint(
      position: position, known: known, largestKey: largestKey, isCausal: isCausal,
      waiting: Dictionary(
        waiting.compactMap { entry in
          entry.key.int.flatMap { source in entry.value.int.map { (source, $0) } }
        }, uniquingKeysWith: min),
      count: count, damagedCount: damaged, outOfOrderCount: forced)
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
