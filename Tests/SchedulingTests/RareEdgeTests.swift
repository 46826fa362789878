import Testing

@testable import Scheduling
@testable import TaskLogPlugin

/// The edges that random graphs rarely take, each with stimuli that lead to it.
struct RareEdge: Sendable, CustomTestStringConvertible {
  var edge: String
  /// Returns the edges that were taken.
  var take: @Sendable () throws -> Set<String>

  var testDescription: String { edge }

  private static func scheduler(
    _ edge: String, _ workers: [String] = ["w"],
    _ drive: @escaping @Sendable (HandDrivenScheduler) throws -> Void
  ) -> RareEdge {
    RareEdge(edge: "scheduler \(edge)") {
      let scheduler = try HandDrivenScheduler(workers: workers)
      try drive(scheduler)
      return scheduler.edges
    }
  }

  private static func worker(
    _ edge: String, _ drive: @escaping @Sendable (HandDrivenWorker) throws -> Void
  ) -> RareEdge {
    RareEdge(edge: "worker \(edge)") {
      let worker = HandDrivenWorker()
      try drive(worker)
      return worker.edges
    }
  }

  /// `a` runs, no client wants it any more, and it is needed from another worker.
  private static func resumedRun(_ worker: HandDrivenWorker) throws {
    try worker.compute("a", run: 1)
    try worker.free("a")
    try worker.compute("b", run: 2, with: [("a", ["v"])])
  }

  /// `a` is being fetched, and no other holder of it is known.
  private static func missing(_ worker: HandDrivenWorker) throws {
    try worker.compute("b", run: 1, with: [("a", ["v"])])
    try worker.tell(.gatherFailure(worker: "v"))
  }

  static let all: [RareEdge] = [
    scheduler("waiting → memory", ["v", "w"]) { scheduler in
      let tasks = [
        NewTask(key: "a", dependencies: [], workers: ["v"], allowOtherWorkers: true),
        NewTask(key: "b", dependencies: ["a"], workers: ["w"]),
      ]
      try scheduler.tell(.updateGraph(client: "c", tasks: tasks, keys: ["b"]))
      try scheduler.finish("a", on: "v", run: 1)
      // `w` has fetched `a` and run `b` when the scheduler thinks that `a` is lost.
      try scheduler.tell(.removeWorker(address: "v", expected: false))
      try scheduler.finish("b", on: "w", run: 2)
      #expect(scheduler.state("b") == "waiting")
    },
    scheduler("queued → erred", []) { scheduler in
      try scheduler.submit(["a": []], keys: ["a"])
      try scheduler.tell(.noWorkersTimeout(nanoseconds: 0))
    },
    scheduler("no-worker → erred") { scheduler in
      let task = NewTask(key: "a", dependencies: [], resources: [Resource("GPU", 1)])
      try scheduler.tell(.updateGraph(client: "c", tasks: [task], keys: ["a"]))
      try scheduler.tell(.noWorkersTimeout(nanoseconds: 0))
    },
    worker("released → missing") { try $0.compute("b", run: 1, with: [("a", [])]) },
    worker("waiting → released") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.free("b")
    },
    worker("fetch → missing") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.compute("c", run: 2, with: [("x", ["v"])])
      try worker.tell(.removeWorker("v"))
    },
    worker("fetch → released") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.compute("c", run: 2, with: [("x", ["v"])])
      try worker.free("c")
    },
    worker("flight → missing") { try missing($0) },
    worker("flight → released") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.free("b")
    },
    worker("missing → fetch") { worker in
      try missing(worker)
      try worker.tell(.refreshWhoHas([("a", ["u"])]))
    },
    worker("missing → waiting") { worker in
      try missing(worker)
      try worker.compute("a", run: 2)
    },
    worker("missing → released") { worker in
      try missing(worker)
      try worker.free("b")
    },
    worker("cancelled → released") { worker in
      try worker.compute("a", run: 1)
      try worker.free("a")
      try worker.free("a")
    },
    worker("cancelled → missing") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.free("b")
      try worker.receive(from: "v")
    },
    worker("cancelled → rescheduled") { worker in
      try worker.compute("a", run: 1)
      try worker.free("a")
      try worker.tell(.reschedule("a"))
    },
    worker("cancelled → fetch") { try resumedRun($0) },
    worker("cancelled → long-running") { worker in
      try worker.compute("a", run: 1)
      try worker.free("a")
      try worker.tell(.secede("a", computeSeconds: 1))
    },
    worker("cancelled → error") { worker in
      try worker.compute("a", run: 1)
      try worker.free("a")
      try worker.fail("a", run: 1)
    },
    worker("resumed → memory") { worker in
      try resumedRun(worker)
      try worker.succeed("a", run: 1)
    },
    worker("resumed → fetch") { worker in
      try worker.compute("b", run: 1, with: [("a", ["v"])])
      try worker.compute("a", run: 2)
      try worker.receive(from: "v")
    },
    worker("resumed → error") { worker in
      try resumedRun(worker)
      try worker.fail("a", run: 1)
    },
    worker("resumed → rescheduled") { worker in
      try resumedRun(worker)
      try worker.tell(.reschedule("a"))
    },
    worker("resumed → long-running") { worker in
      try resumedRun(worker)
      try worker.tell(.secede("a", computeSeconds: 1))
    },
    worker("resumed → released") { worker in
      try resumedRun(worker)
      try worker.free("b")
    },
    worker("long-running → error") { worker in
      try worker.compute("a", run: 1)
      try worker.tell(.secede("a", computeSeconds: 1))
      try worker.fail("a", run: 1)
    },
    worker("long-running → rescheduled") { worker in
      try worker.compute("a", run: 1)
      try worker.tell(.secede("a", computeSeconds: 1))
      try worker.tell(.reschedule("a"))
    },
    worker("long-running → released") { worker in
      try worker.compute("a", run: 1)
      try worker.tell(.secede("a", computeSeconds: 1))
      try worker.free("a")
    },
  ]
}

@Suite struct RareEdgeTests {
  @Test(arguments: RareEdge.all)
  func `a rare edge is taken`(rare: RareEdge) throws {
    #expect(EdgeCoverage.all.contains(rare.edge))
    #expect(try rare.take().contains(rare.edge))
  }
}
