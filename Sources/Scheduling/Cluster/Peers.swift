/// Finds the workers of a cluster by address.
final class Peers: Sendable {
  private let workers = Lock<[String: WorkerServer]>([:])

  subscript(address: String) -> WorkerServer? {
    workers.withLock { $0[address] }
  }

  var all: [WorkerServer] {
    workers.withLock { Array($0.values) }
  }

  func add(_ worker: WorkerServer) {
    workers.withLock { $0[worker.facts.address] = worker }
  }

  func remove(_ address: String) -> WorkerServer? {
    workers.withLock { $0.removeValue(forKey: address) }
  }

  func removeAll() {
    workers.withLock { $0.removeAll() }
  }
}
