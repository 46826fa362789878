import TestSupport

@testable import Scheduling
@testable import TaskLogPlugin

/// What the outside of a simulation does: clients that change their minds, workers that come and go.
extension Simulation {
  func wish() throws {
    switch Int.random(in: 0..<21, using: &random) {
    case 0..<5:
      let count = Int.random(in: 1...max(1, graph.keys.count / 3), using: &random)
      submit((0..<count).map { _ in graph.keys.randomElement(using: &random)! })
    case 5, 6:
      let held = futures.keys.sorted { $0.text < $1.text }
      release(held.filter { _ in random.once(in: 3) })
    case 7..<11:
      // Released and wanted again at once, before the scheduler knows.
      let held = futures.keys.sorted { $0.text < $1.text }
      let some = held.filter { _ in random.once(in: 2) }
      release(some)
      if !some.isEmpty { submit(some) }
    case 11: try removeWorker()
    case 15: try scatter()
    case 16:
      let held = futures.keys.sorted { $0.text < $1.text }
      let some = held.filter { _ in random.once(in: 3) }
      say(.stimulus(.clientDesiresKeys(client: SchedulerCore.fireAndForget, keys: some)))
      release(some)
    case 17, 18: say(.stimulus(.balance))
    case 19 where random.once(in: 4):
      say(.stimulus(.noWorkersTimeout(nanoseconds: Int64.random(in: 0...40, using: &random))))
    case 12:
      let some = addresses.filter { _ in random.once(in: 3) }
      if !some.isEmpty { say(.stimulus(.retireWorkers(some))) }
    case 14:
      let held = futures.keys.sorted { $0.text < $1.text }
      let some = held.filter { _ in random.once(in: 4) }
      say(.stimulus(.cancel(client: "client", keys: some, force: random.once(in: 2))))
    case 13 where random.once(in: 4):
      futures.removeAll()
      say(.stimulus(.restart))
    default: if workers.count < 4 { addWorker() }
    }
  }

  func submit(_ wanted: [Key]) {
    graphNumber += 1
    var keys: [Key] = []
    for key in wanted where !keys.contains(key) { keys.append(key) }
    for key in keys where futures[key].map({ $0.status == .cancelled }) ?? true {
      futures[key] = (.pending, graphNumber)
    }
    toScheduler["client", default: []].append(
      .graph(number: graphNumber, tasks: graph.tasks(for: keys), keys: keys))
  }

  func release(_ keys: [Key]) {
    guard !keys.isEmpty else { return }
    for key in keys { futures[key] = nil }
    say(.stimulus(.clientReleasesKeys(client: "client", keys: keys)))
  }

  func say(_ message: ToScheduler, from sender: String = "client") {
    toScheduler[sender, default: []].append(message)
  }

  /// Data is scattered to some workers, and a task needs it. When they are lost, both are.
  func scatter() throws {
    let some = addresses.filter { address in
      scheduler.core.state.workers.contains(address) && !toScheduler.contains(address)
        && random.once(in: 2)
    }
    guard !some.isEmpty else { return }
    scatteredTo.formUnion(some)
    scattered += 1
    let (key, value) = (Key("data-\(scattered)"), scattered)
    expected[key] = .value(value)
    let data = ScatteredData(key: key, nbytes: 3, typeName: "Int")
    for address in some {
      guard let worker = workers[address] else { continue }
      worker.held[key] = value
      try handle(.updateData([data]), worker)
    }
    futures[key] = (.pending, graphNumber)
    say(.stimulus(.updateData(client: "client", [(data, workers: some)])))
    let user = graph.add(Key("on-data-\(scattered)"), needing: key)
    expected[user] = .value(RandomGraph.value(of: user, [value]))
    failuresLeft[user] = 0
    submit([user])
  }

  /// - Parameter supplies: whether it has every resource that any task requires.
  func addWorker(supplies: Bool = false) {
    // An address may be reused.
    let address = "w\(random.once(in: 3) ? born % 3 : born)"
    guard workers[address] == nil else { return }
    guard !toScheduler.contains(address), !scatteredTo.contains(address) else { return }
    born += 1
    let amount = supplies ? 2 : Double(Int.random(in: 0...2, using: &random))
    let facts = WorkerSnapshot(
      address: address, name: .int(Int64(born)), serverID: "Worker-\(born)",
      nthreads: Int.random(in: 1...3, using: &random),
      resources: amount == 0 ? [] : [Resource("GPU", amount)])
    let worker = SimulatedWorker(facts, isSmall: graph.keys.count <= 10)
    worker.core.onEdge = { [unowned self] in edges.insert("worker \($0) → \($1)") }
    workers[address] = worker
    addresses.append(address)
    say(.stimulus(.addWorker(facts)), from: address)
  }

  /// The worker is dead at once; the scheduler learns of it after, or before, its last messages.
  func removeWorker() throws {
    guard let address = addresses.randomElement(using: &random), let worker = workers[address]
    else { return }
    try worker.check()
    workers[address] = nil
    addresses.removeAll { $0 == address }
    toWorker[address] = nil
    let removal = ToScheduler.stimulus(
      .removeWorker(address: address, expected: random.once(in: 4)))
    var words = toScheduler[address] ?? []
    let isIntroduced = !words.contains { message in
      if case .stimulus(.addWorker) = message { return true }
      return false
    }
    if isIntroduced, random.once(in: 2) {
      words.insert(removal, at: 0)
    } else {
      words.append(removal)
    }
    toScheduler[address] = words
  }

  /// The scheduler has removed a worker; its last messages are still on their way.
  func dismiss(_ address: String) throws {
    guard let worker = workers[address] else { return }
    try worker.check()
    workers[address] = nil
    addresses.removeAll { $0 == address }
    toWorker[address] = nil
  }
}
