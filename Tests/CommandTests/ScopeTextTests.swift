import LogAnalysis
import Querying
import Testing

/// The line about how much of a run is shown.
@Suite struct ScopeTextTests {
  @Test(arguments: [
    (RunScope.Share(tasks: 1204, allTasks: 96_000), "shows 1,204 of 96,000 tasks (1.3 %)"),
    (RunScope.Share(tasks: 1, allTasks: 1), "shows 1 of 1 task (100 %)"),
    (RunScope.Share(tasks: 0, allTasks: 0), "shows 0 of 0 tasks"),
    (RunScope.Share(tasks: 3, allTasks: 1_000_000), "shows 3 of 1,000,000 tasks (< 0.1 %)"),
    (
      RunScope.Share(tasks: 999_999, allTasks: 1_000_000),
      "shows 999,999 of 1,000,000 tasks (> 99 %)"
    ),
    (
      RunScope.Share(tasks: 50, allTasks: 100, workers: 1, allWorkers: 40, time: 0.0214),
      "shows 50 of 100 tasks (50 %), 1 of 40 workers, 2.1 % of the run's time"
    ),
    (
      RunScope.Share(tasks: 0, allTasks: 100, time: 0),
      "shows 0 of 100 tasks (0 %), 0 % of the run's time"
    ),
  ])
  func `a share is printed in numbers and percent`(share: RunScope.Share, text: String) {
    #expect(share.text == text)
  }
}
