import Foundation
import TestTraits
import Testing

/// Plugins from files that end or hang the process that runs them.
@Suite(.exclusive(.commands)) struct WatchedPluginTests {
  private let folder: PluginFolder

  init() throws { folder = try PluginFolder() }

  private func write(_ name: String, kind: String = "SchedulerPlugin", _ body: String) throws {
    try folder.write(
      "\(name).swift",
      """
      import Glibc
      import TaskLogPlugin

      func forever() -> Never { while true { sleep(1) } }

      final class \(name): \(kind) {
        var count = 0
        \(body)
      }
      """)
  }

  private static let transition =
    "func transition(key: Key, start: State, finish: State, stimulusID: String, args: Args) throws"

  private func expectLine(
    _ name: String, arguments: [String] = [], _ message: Regex<Substring>,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try folder.replay(["--plugin", "\(name).swift"] + arguments)
    #expect(result.code == 1, sourceLocation: location)
    let own = result.errors.split(separator: "\n").filter { $0.hasPrefix("tasklog: ") }
    #expect(own.count == 1, "\(result.errors)", sourceLocation: location)
    #expect(
      own.first?.wholeMatch(of: message) != nil, "\(result.errors)", sourceLocation: location)
    // The message of the Swift runtime, if any, but no stack.
    #expect(result.errors.split(separator: "\n").count <= 2, sourceLocation: location)
    #expect(!result.errors.contains("Thread 0"), sourceLocation: location)
  }

  @Test func `a plugin that traps is reported with the event`() throws {
    try write(
      "Trap", "\(Self.transition) { count += 1; if count == 7 { let a: [Int] = []; _ = a[count] } }"
    )
    try expectLine(
      "Trap",
      /tasklog: plugin 'Trap' on the scheduler was ended by signal \d+ \(.*\) in transition of '.*' from \w+ to \w+ \(seq \d+\)/
    )
  }

  @Test func `a plugin that traps on a worker is reported with the worker`() throws {
    try write("Mine", kind: "WorkerPlugin", "func setup(worker: Worker) { fatalError(\"no\") }")
    try expectLine(
      "Mine",
      /tasklog: plugin 'Mine' on worker inproc:\/\/.* was ended by signal \d+ \(.*\) in setup/)
  }

  @Test func `a plugin that never returns is reported with the event`() throws {
    try write("Hang", "\(Self.transition) { count += 1; if count == 7 { forever() } }")
    try expectLine(
      "Hang", arguments: ["--timeout", "1"],
      /tasklog: plugin 'Hang' on the scheduler made no progress for 1 s in transition of '.*' from \w+ to \w+ \(seq \d+\); raise the limit with --timeout/
    )
  }

  @Test func `a plugin that ends the process is reported with the event`() throws {
    try write(
      "Leave", "func addWorker(scheduler: Scheduler, worker: String) { exit(0) }")
    try expectLine(
      "Leave",
      /tasklog: plugin 'Leave' on the scheduler ended the program with code 0 in addWorker of .* \(seq \d+\)/
    )
  }

  @Test func `a plugin whose library hangs while it is loaded is reported`() throws {
    try folder.write("hang.c", "__attribute__((constructor)) static void wait(void) { for (;;); }")
    try write("Loads", "")
    let made = try folder.shell(
      """
      tasklog replay --log run.db --plugin Loads.swift > /dev/null &&
        clang -c -fPIC hang.c -o hang.o && swiftc -emit-library -parse-as-library -module-name Loads \
        -I "$(dirname "$(command -v tasklog)")/Modules" Loads.swift hang.o -o libLoads.so
      """)
    try #require(made.code == 0, "\(made.errors)")
    let result = try folder.replay(["--plugin", "./libLoads.so", "--timeout", "1"])
    #expect(result.code == 1)
    #expect(
      result.errors.hasPrefix(
        "tasklog: plugin './libLoads.so' made no progress for 1 s in its loading"),
      "\(result.errors)")
  }

  @Test func `a signal ends both processes, and the exit status shows it`() throws {
    try write("Wait", "\(Self.transition) { forever() }")
    let result = try folder.shell(
      """
      tasklog replay --log run.db --plugin Wait.swift --timeout 0 & parent=$!
      until child=$(cat /proc/$parent/task/*/children 2> /dev/null) && [ "$child" ] &&
        grep -q plugins/ /proc/${child% }/maps; do
        kill -0 $parent || exit 9
      done
      kill -TERM $parent; wait $parent; echo "code $?"
      kill -0 $child 2> /dev/null && echo "orphan"
      exit 0
      """)
    #expect(result.output == "code 143\n", "\(result)")
    let killed = try folder.shell(
      """
      tasklog replay --log run.db --plugin Wait.swift --timeout 0 & parent=$!
      until child=$(cat /proc/$parent/task/*/children 2> /dev/null) && [ "$child" ] &&
        grep -q plugins/ /proc/${child% }/maps; do
        kill -0 $parent || exit 9
      done
      kill -KILL $parent; wait $parent 2> /dev/null
      for try in $(seq 600); do kill -0 $child 2> /dev/null || break; sleep 0.05; done
      kill -0 $child 2> /dev/null || echo gone
      """)
    #expect(killed.output == "gone\n", "\(killed)")
  }

  @Test func `output and exit code of a plugin are the same as without a watcher`() throws {
    try write("Speaks", "func close() { print(\"closed\") }")
    let result = try folder.replay(["--plugin", "Speaks.swift", "--plugin", "counter"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.lines.first == "closed")
    #expect(result.errors == "")
    let broken = try folder.shell("tasklog replay --log run.db --plugin Speaks.swift | head -n 0")
    #expect(broken.code == 0 && broken.errors == "")
  }
}
