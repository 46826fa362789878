import Testing

@testable import LogAnalysis

/// Why threads had nothing to run, on literals in seconds: workers with one thread each.
@Suite struct IdleThreadsTests {
  private typealias Input = ThreadTimeInput

  private static func interval(_ start: Double, _ stop: Double) -> ThreadTimeInput.Interval {
    .init(Int64(start * 1e9), Int64(stop * 1e9))
  }

  /// - Parameter work: of each worker, when a task computed, and the index of its prefix.
  private static func idle(
    _ work: [[(Double, Double, Int)]], until stop: Double,
    _ change: (inout ThreadTimeInput) -> Void = { _ in }
  ) -> IdleThreads {
    var input = ThreadTimeInput()
    input.tasks = [.init(prefix: "nap"), .init(prefix: "sum")]
    input.known = [interval(0, stop)]
    input.unfinished = [interval(0, stop)]
    for (index, work) in work.enumerated() {
      var worker = Input.Worker("w\(index)", threads: 1, present: [interval(0, stop)])
      worker.work = work.map {
        Input.Work(Int64($0.0 * 1e9), Int64($0.1 * 1e9), task: $0.2)
      }
      input.workers.append(worker)
    }
    change(&input)
    return IdleThreads(input, AdviceThresholds())
  }

  private static func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }

  @Test func `busy threads are not idle`() {
    let idle = Self.idle([[(0, 10, 0)], [(0, 10, 0)]], until: 10)
    #expect(Self.seconds(idle.active) == 20)
    #expect(idle.tooFewTasks == 0)
    #expect(idle.imbalance == 0)
    #expect(idle.stragglers == [])
  }

  @Test func `threads without a task while others run have too few tasks`() {
    let idle = Self.idle([[(0, 10, 0)], [(0, 4, 1)], []], until: 10)
    #expect(Self.seconds(idle.tooFewTasks) == 16)
    #expect(idle.mostTasks == 2)
    #expect(idle.threads == 3)
  }

  @Test func `threads are not idle while inputs are on their way or the scheduler is late`() {
    let idle = Self.idle([[(0, 10, 0)], []], until: 10) {
      $0.workers[1].transfers = [Self.interval(0, 3)]
      $0.schedulerLag = [Self.interval(3, 9)]
    }
    #expect(Self.seconds(idle.tooFewTasks) == 1)
  }

  @Test func `threads that idle while tasks are ready elsewhere are an imbalance`() {
    let idle = Self.idle([[(0, 10, 0)], []], until: 10) {
      $0.workers[0].ready = [Self.interval(0, 5), Self.interval(6, 6.1)]
    }
    // After the delay that any task may have; the second one waits no longer than that.
    #expect(Self.seconds(idle.imbalance) == 4.9)
    #expect(Self.seconds(idle.tooFewTasks) == 5.1)
  }

  /// Five tasks of a second, and one of some seconds, on two workers.
  private static func straggler(_ seconds: Double) -> IdleThreads {
    idle([[(0, 1, 0), (1, 2, 0), (2, 3, 0), (3, 4, 0)], [(0, seconds, 0)]], until: seconds)
  }

  @Test func `a task that computes much longer than the others is a straggler`() {
    #expect(
      Self.straggler(10).stragglers == [
        .init(
          prefix: "nap", tasks: 1, longest: 10_000_000_000, median: 1_000_000_000,
          cost: 6_000_000_000)
      ])
    #expect(Self.straggler(10).tooFewTasks == 0)
  }

  @Test func `a task of three times the median is none`() {
    let idle = Self.idle(
      [[(0, 1, 0), (1, 2, 0)], [(0, 3, 0)], [(0, 1, 0)], [(0, 1, 0)]], until: 3)
    #expect(idle.stragglers == [])
    #expect(Self.seconds(idle.tooFewTasks) == 5)
  }

  @Test func `a straggler costs nothing while the other threads are busy`() {
    let idle = Self.idle(
      [(0..<10).map { (Double($0), Double($0) + 1, 0) }, [(0, 10, 0)]], until: 10)
    #expect(idle.stragglers == [])
  }

  @Test func `stragglers at the same time are counted once`() {
    let idle = Self.idle(
      [(0..<6).map { (Double($0), Double($0) + 1, 0) }, [(0, 10, 0)], [(0, 10, 0)]], until: 10)
    #expect(idle.stragglers.map(\.tasks) == [2])
    #expect(idle.stragglers.map { Self.seconds($0.cost) } == [4])
  }

  @Test func `a worker that joins long after the first task misses its threads' time`() {
    func late(_ joined: Double) -> [Double] {
      let late = Self.idle([[(0, 10, 0)], []], until: 10) {
        $0.workers[1].present = [Self.interval(joined, 10)]
      }.late
      return [Double(late.workers), Self.seconds(late.time)]
    }
    #expect(late(6) == [1, 6])
    #expect(late(4.9) == [0, 0])
  }

  @Test func `time without unfinished tasks counts only between the first and the last one`() {
    let idle = Self.idle([[], []], until: 10) {
      $0.unfinished = [Self.interval(2, 3), Self.interval(7, 8)]
    }
    #expect(Self.seconds(idle.active) == 4)
    #expect(Self.seconds(idle.betweenTasks) == 8)
  }

  @Test func `a task outside of the time window is no straggler in it`() {
    let idle = Self.idle(
      [(0..<6).map { (Double($0), Double($0) + 1, 0) }, [(6, 16, 0)]], until: 16
    ) {
      $0.window = Self.interval(0, 6)
    }
    #expect(idle.stragglers == [])
    #expect(Self.seconds(idle.tooFewTasks) == 6)
  }

  @Test func `a time window leaves out what is outside of it`() {
    let idle = Self.idle([[(0, 10, 0)], []], until: 10) { $0.window = Self.interval(4, 6) }
    #expect(Self.seconds(idle.active) == 4)
    #expect(Self.seconds(idle.tooFewTasks) == 2)
  }

  @Test func `if tasks are selected, idle time is no part of them`() {
    let idle = Self.idle([[(0, 10, 0)], []], until: 10) { $0.selectsTasks = true }
    #expect(Self.seconds(idle.active) == 20)
    #expect(idle.tooFewTasks == 0)
  }
}
