import Testing

@testable import Explaining
@testable import Scheduling

/// Why a worker was chosen, in sentences, from literal candidates.
@Suite struct PlacementSentenceTests {
  private static func worker(
    _ address: String, start: Double = 0, tasks: Int = 0, work: Double = 0, holds: Int64 = 0,
    best: Bool = false
  ) -> Placement.Candidate {
    .init(
      address: address, threads: 2, occupancy: work, processing: tasks, missingBytes: 0,
      start: start, nbytes: holds, isBest: best)
  }

  private static func placement(
    _ rule: Placement.Rule, _ candidates: [Placement.Candidate], rootish: Bool = false,
    restricted: Bool = false, inputs: Bool = false, others: Int = 0
  ) -> Placement {
    Placement(
      rule: rule, isRootish: rootish, isRestricted: restricted, needsInputs: inputs,
      candidates: candidates, others: others)
  }

  private static func told(_ placement: Placement, _ doubts: [String] = []) -> String {
    PlacementSentence.text(placement, worker: "u", doubts: doubts)
  }

  @Test func `the best start comes with its margin and with who was not considered`() {
    let two = [Self.worker("u", start: 0.1, best: true), Self.worker("v", start: 0.22)]
    #expect(
      Self.told(Self.placement(.soonest, two, inputs: true, others: 3))
        == "It was put there because it would have started there soonest, in 100 ms: 120 ms before "
        + "the second best, worker v. 3 other workers hold none of its inputs, and are not considered."
    )
    let even = [Self.worker("u", holds: 2048, best: true), Self.worker("v", holds: 4096)]
    #expect(
      Self.told(Self.placement(.soonest, even))
        == "It was put there because it would have started as soon on worker v, which held more data "
        + "(4.0 KiB, and that one 2.0 KiB).")
  }

  @Test func `of a single candidate it says what kept the others out`() {
    let one = [Self.worker("u", best: true)]
    #expect(
      Self.told(Self.placement(.soonest, one, restricted: true, others: 2))
        == "It was put there because no other worker may run it.")
    #expect(
      Self.told(Self.placement(.soonest, one, inputs: true, others: 2))
        == "It was put there because no other worker holds any of its inputs.")
    #expect(
      Self.told(Self.placement(.leastWork, one))
        == "It was put there because there was no other worker.")
    #expect(
      Self.told(Self.placement(.freeThread, one, rootish: true, others: 1))
        == "It was put there because no other worker had room for it. It is one of many tasks with "
        + "few or no inputs (root-ish): where its inputs are does not count.")
  }

  @Test func `for a tie no reason is invented`() {
    let three = ["u", "v", "w"].map { Self.worker($0, start: 0.5, best: true) }
    #expect(
      Self.told(Self.placement(.soonest, three))
        == "There was a tie between 3 workers, on each of which it would have started in 500 ms: any "
        + "of them could have been chosen.")
    #expect(
      Self.told(Self.placement(.freeThread, three))
        == "There was a tie between 3 workers with the fewest tasks per thread: any of them could have "
        + "been chosen.")
  }

  @Test func `the other rules say what counted`() {
    let two = [
      Self.worker("u", tasks: 1, work: 0.5, best: true), Self.worker("v", tasks: 3, work: 1.5),
    ]
    #expect(
      Self.told(Self.placement(.leastWork, two))
        == "It was put there because that worker had the least to do of 2 workers: 500 ms of work; the "
        + "second best, worker v, had 1.5 s.")
    #expect(
      Self.told(Self.placement(.freeThread, two))
        == "It was put there because that worker had the fewest tasks per thread of 2 workers with "
        + "room for it: 1 for 2 threads; the second best, worker v, had 3 for 2 threads.")
    #expect(
      Self.told(Self.placement(.inTurn, [Self.worker("u", best: true), two[1]]))
        == "It was put there because workers without work take turns, and it was the next of 2 workers."
    )
    let many = (1...20).map { Self.worker($0 == 1 ? "u" : "w\($0)", work: 3, best: $0 == 1) }
    #expect(
      Self.told(Self.placement(.inTurn, many))
        == "It was put there because tasks without inputs go to so many workers in turn, and it was the "
        + "next of 20 workers.")
    #expect(
      Self.told(Self.placement(.group, two, rootish: true))
        == "It was put there because that worker takes the next tasks of its group. It is one of many "
        + "tasks with few or no inputs (root-ish).")
  }

  @Test
  func `of another choice than the rules it says what may be wrong, or that nothing is known`() {
    let two = [Self.worker("v", start: 0.1, best: true), Self.worker("u", start: 0.3)]
    #expect(
      Self.told(Self.placement(.soonest, two))
        == "At the rebuilt state worker v would be chosen, where it would have started 200 ms sooner. "
        + "Why, the log does not say.")
    #expect(
      Self.told(Self.placement(.soonest, [two[0]]), ["events before it are missing"])
        == "At the rebuilt state worker v would be chosen, and this one not be considered. That may be "
        + "because events before it are missing.")
    #expect(
      Self.told(Self.placement(.leastWork, []))
        == "At the rebuilt state no worker could be chosen for it. Why, the log does not say.")
  }

  @Test func `a steal has its cost and gain if the log has them`() {
    var steal = RecordedSteal(seq: 1, time: 0, victim: "u", thief: "v")
    #expect(
      steal.sentence { $0 }
        == "Worker v stole it from worker u; its cost and gain, the log does not say.")
    steal.estimate = .init(cost: 0.5, victim: 4, thief: 0, missingBytes: 2048)
    #expect(
      steal.sentence { $0 }
        == "Worker v stole it from worker u: that one had 4.0 s of work, of which this task was 500 ms; "
        + "the thief had 0 s, and had to fetch 2.0 KiB for it.")
  }
}
