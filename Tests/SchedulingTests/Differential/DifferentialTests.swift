import Foundation
import TaskLogPlugin
import TestSupport
import TestTraits
import Testing

@testable import Scheduling

private let python = ProcessInfo.processInfo.environment["TASKLOG_TEST_PYTHON"]

/// The same graphs on a real Dask and on our engine: every key goes through the same states, with
/// args of the same names.
///
/// `TASKLOG_TEST_PYTHON` is a Python that has `distributed` 2026.8.0; `Tests/run` makes one.
@Suite(
  .exclusive(.services),
  .enabled(
    if: python != nil,
    "set TASKLOG_TEST_PYTHON to a Python with distributed 2026.8.0"))
struct DifferentialTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  /// A permitted difference, with the line of Dask's source that explains it.
  private enum Rule {
    /// Our workers report the state that a task really is in. Dask's report the requested one
    /// (worker_state_machine.py 2591, `_notify_plugins("transition", ts.key, start, finish)`): a
    /// running task that is freed is reported as executing → released, and is `cancelled`; one that
    /// becomes constrained is reported as waiting → ready, and still waits.
    static func actualFinish(_ dask: [Transition], _ ours: [Transition]) -> [Transition] {
      guard dask.count == ours.count else { return ours }
      return zip(dask, ours).map { dask, ours in
        let isNone = ours.start == ours.finish && ours.finish != dask.finish
        let isStopped = ours.finish == "cancelled" && dask.finish == "released"
        let isLate = ours.start == "cancelled" && ours.finish == "released"
        guard dask.start == ours.start, isNone || isStopped || isLate else { return ours }
        var ours = ours
        ours.finish = dask.finish
        return ours
      }
    }
  }

  @Test func `every key goes through the same states as in Dask, with the same args`() async throws
  {
    let file = Self.folder.appendingPathComponent("graphs.json")
    let graphs = try #require(
      try JSONReader.value(String(contentsOf: file, encoding: .utf8)).elements)
    let theirs = try Self.dask([file.path])
    for graph in graphs {
      let name = try #require(graph["name"]?.string)
      let dask = try #require(theirs[name].map(Self.read))
      do {
        Self.compare(name, dask, try await OurSide.outcome(of: graph))
      } catch {
        Issue.record("\(name): \(error)")
      }
    }
    print("compared with Dask: \(graphs.count) graphs")
  }

  @Test func `the tables have the edges of Dask's, except unreachable ones`() throws {
    let tables = try Self.dask(["--tables"])
    func compare(
      _ name: String, _ edges: [(start: State, finish: State)],
      _ leftOut: [(start: State, finish: State, reason: String)]
    ) {
      let theirs = (tables[name]?.elements ?? []).map { edge in
        (edge.elements ?? []).compactMap(\.string).joined(separator: " → ")
      }
      let ours = edges.map { "\($0.start) → \($0.finish)" }
      let others = leftOut.map { "\($0.start) → \($0.finish)" }
      #expect(!theirs.isEmpty)
      #expect(Set(theirs) == Set(ours + others), "\(name)")
    }
    compare("scheduler", SchedulerCore.edges.edges, SchedulerCore.omittedEdges)
    compare("worker", WorkerCore.edges.edges, WorkerCore.omittedEdges)
  }

  private static func dask(_ arguments: [String]) throws -> Value {
    let dask = try Child.run(
      [python ?? "", folder.appendingPathComponent("dask_side.py").path] + arguments, seconds: 1_200
    )
    #expect(dask.code == 0, "\(String(decoding: dask.errors.suffix(2_000), as: UTF8.self))")
    return try JSONReader.value(String(decoding: dask.output, as: UTF8.self))
  }

  private static func read(_ value: Value) -> GraphOutcome {
    func text(_ value: Value) -> String {
      value.string ?? value.int.map(String.init)
        ?? "\((value.elements ?? []).map(text))".replacing("\\\"", with: "\"")
    }
    func transitions(_ value: Value) -> [Transition] {
      (value.elements ?? []).map { event in
        let parts = event.elements ?? []
        var transition = Transition(
          key: text(parts[0]), start: text(parts[1]), finish: text(parts[2]))
        guard parts.count > 3 else { return transition }
        transition.args = (parts[3].elements ?? []).map(text)
        if case .dict(let entries) = parts[4] {
          for entry in entries { transition.values[text(entry.key)] = text(entry.value) }
        }
        return transition
      }
    }
    return GraphOutcome(
      scheduler: transitions(value["scheduler"] ?? .null),
      hooks: (value["hooks"]?.elements ?? []).map { hook in
        (hook.elements ?? []).map(text).joined(separator: " ")
      },
      workers: (value["workers"]?.elements ?? []).map(transitions))
  }

  private static func compare(_ name: String, _ dask: GraphOutcome, _ ours: GraphOutcome) {
    func check(_ source: String, _ dask: [Transition], _ ours: [Transition]) {
      for key in Set((dask + ours).map(\.key)).sorted() {
        let (a, b) = (dask.filter { $0.key == key }, ours.filter { $0.key == key })
        guard a != b else { continue }
        Issue.record("\(name): '\(key)' on \(source)\n  Dask \(a)\n  ours \(b)")
      }
    }
    check("the scheduler", dask.scheduler, ours.scheduler)
    #expect(dask.hooks == ours.hooks, "\(name)")
    #expect(dask.workers.count == ours.workers.count, "\(name)")
    for (number, pair) in zip(dask.workers, ours.workers).enumerated() {
      for key in Set((pair.0 + pair.1).map(\.key)) {
        let (dask, ours) = (pair.0.filter { $0.key == key }, pair.1.filter { $0.key == key })
        check("worker \(number)", dask, Rule.actualFinish(dask, ours))
      }
    }
  }
}
