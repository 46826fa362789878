/// The names of the fields of snapshots, as in a log.
///
/// The recorders for Dask write the same names: `snapshots.py`, `hooks.py` and `_graph.h` of the
/// Python package, which `test_snapshot_fields.py` compares with these.

/// The kinds of snapshots; a snapshot is an object with one of them.
package enum SnapshotKind {
  package static var task: StaticString { "task" }
  package static var graph: StaticString { "graph" }
  package static var worker: StaticString { "worker" }
  package static var all: [StaticString] { [task, graph, worker] }
}

/// The fields of `TaskSnapshot`.
package enum TaskField {
  package static var nbytes: StaticString { "nbytes" }
  package static var typeName: StaticString { "typeName" }
  package static var exceptionText: StaticString { "exceptionText" }
  package static var tracebackText: StaticString { "tracebackText" }
  package static var startStops: StaticString { "startStops" }
  package static var comingFrom: StaticString { "comingFrom" }
  package static var cause: StaticString { "cause" }
  package static var retries: StaticString { "retries" }
  package static var suspicious: StaticString { "suspicious" }
  package static var previous: StaticString { "previous" }
  package static var state: StaticString { "state" }
  package static var counter: StaticString { "counter" }
  package static var all: [StaticString] {
    [
      nbytes, typeName, exceptionText, tracebackText, startStops, comingFrom, cause, retries,
      suspicious, previous, state, counter,
    ]
  }
}

/// The fields of `GraphTask`.
package enum GraphTaskField {
  package static var key: StaticString { "key" }
  package static var dependencies: StaticString { "dependencies" }
  package static var priority: StaticString { "priority" }
  package static var annotations: StaticString { "annotations" }
  package static var retries: StaticString { "retries" }
  package static var workerRestrictions: StaticString { "workerRestrictions" }
  package static var looseRestrictions: StaticString { "looseRestrictions" }
  package static var resourceRestrictions: StaticString { "resourceRestrictions" }
  package static var all: [StaticString] {
    [
      key, dependencies, priority, annotations, retries, workerRestrictions, looseRestrictions,
      resourceRestrictions,
    ]
  }
}

/// The fields of `WorkerSnapshot`.
package enum WorkerField {
  package static var address: StaticString { "address" }
  package static var name: StaticString { "name" }
  package static var serverID: StaticString { "serverID" }
  package static var nthreads: StaticString { "nthreads" }
  package static var memoryLimit: StaticString { "memoryLimit" }
  package static var pid: StaticString { "pid" }
  package static var host: StaticString { "host" }
  package static var resources: StaticString { "resources" }
  package static var all: [StaticString] {
    [
      address, name, serverID, nthreads, memoryLimit, pid, host, resources,
    ]
  }
}

/// The fields of `StartStop`; in args Dask calls them the same.
package enum SpanField {
  package static var action: StaticString { "action" }
  package static var start: StaticString { "start" }
  package static var stop: StaticString { "stop" }
  package static var source: StaticString { "source" }
  package static var all: [StaticString] { [action, start, stop, source] }
}

extension Value {
  /// The value of a field.
  subscript(field: StaticString) -> Value? { self[field.description] }
}
