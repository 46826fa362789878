import Foundation
import Testing

@testable import Recording
@testable import TaskLogPlugin

/// Options set in the environment of a program.
@Suite struct EnvironmentTests {
  private func options(_ variables: [String: String]) throws -> Recorder.Options {
    try Recorder.Options.read(variables).options
  }

  @Test func `every variable sets its option`() throws {
    let options = try options([
      "TASKLOG_REDACT": "password, exception*", "TASKLOG_MAX_ARGS_BYTES": "64 kiB",
      "TASKLOG_INCLUDE_HOOKS": "transition,add_*", "TASKLOG_EXCLUDE_HOOKS": "restart",
      "TASKLOG_INCLUDE_KEYS": "('sum', *); inc-*", "TASKLOG_EXCLUDE_KEYS": "x",
      "TASKLOG_INCLUDE_SOURCES": "scheduler;worker", "TASKLOG_EXCLUDE_SOURCES": "tcp://a:1",
      "TASKLOG_ROTATE_SIZE": "2GB", "TASKLOG_ROTATE_AGE": "1d", "TASKLOG_SPOOL_LIMIT": "1048576",
      "TASKLOG_SYNC_SECONDS": "500ms", "TASKLOG_CLOSE_SECONDS": "2",
    ])
    #expect(options.redactedArgs == ["password", "exception*"])
    #expect(options.maximumArgsBytes == 65_536)
    #expect(options.filter.includeHooks == ["transition", "add_*"])
    #expect(options.filter.excludeHooks == ["restart"])
    #expect(options.filter.includeKeys == ["('sum', *)", "inc-*"])
    #expect(options.filter.excludeKeys == ["x"])
    #expect(options.filter.includeSources == ["scheduler", "worker"])
    #expect(options.filter.excludeSources == ["tcp://a:1"])
    #expect(options.rotateBytes == 2_000_000_000)
    #expect(options.rotateSeconds == 86_400)
    #expect(options.spoolLimit == 1_048_576)
    #expect(options.syncSeconds == 0.5)
    #expect(options.closeSeconds == 2)
  }

  @Test func `without variables the options are unchanged`() throws {
    for variables in [[:], ["TASKLOG_ROTATE_SIZE": "", "TASKLOG_REDACT": ""]] {
      let options = try options(variables)
      #expect(options.redactedArgs == [])
      #expect(options.filter == Recorder.Filter())
      #expect(options.rotateBytes == nil)
      #expect(options.syncSeconds == Recorder.Options().syncSeconds)
    }
  }

  @Test(arguments: [
    ("TASKLOG_ROTATE_SIZE", "big"), ("TASKLOG_ROTATE_SIZE", "-1"), ("TASKLOG_ROTATE_AGE", "0.1s"),
    ("TASKLOG_SPOOL_LIMIT", "1 furlong"), ("TASKLOG_SYNC_SECONDS", "soon"),
  ])
  func `an invalid value is reported with its variable`(name: String, value: String) {
    #expect {
      _ = try options([name: value])
    } throws: {
      "\($0)".hasPrefix("\(name)=\(value): expected a ")
    }
  }

  private func unknown(among names: [String]) throws -> [String] {
    try Recorder.Options.read(Dictionary(uniqueKeysWithValues: names.map { ($0, "") })).unknown
  }

  @Test func `an unknown variable that looks like an option is reported`() throws {
    let names = [
      "TASKLOG_REDCAT", "TASKLOG_", "TASKLOG_REDACT", "TASKLOG_SYNC_SECONDS",
      "TASKLOG_WORKER_SPOOL",
      "PATH", "TASKLOG_AMQP_USER", "TASKLOG_OPTION_N", "TASKLOG_TEST_PYTHON", "TASKLOG_RUNS",
    ]
    #expect(try unknown(among: names) == ["TASKLOG_", "TASKLOG_REDCAT", "TASKLOG_RUNS"])
  }

  @Test func `Swift knows the variables of the recorder in Python`() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let source = try String(
      contentsOf: root.appending(path: "Sources/Python/tasklog/options.py"), encoding: .utf8)
    let options = source.matches(of: #/(?m)^    (\w+): .*= _option\(/#).map {
      "TASKLOG_" + $0.1.uppercased()
    }
    let others = source.matches(of: #/"(TASKLOG_[A-Z_]+)"/#).map { String($0.1) }
    #expect(options.count > 20 && others.count > 5)
    #expect(try unknown(among: options + others) == [])
    // As in Python, a name that ends in `_` is a prefix of other names.
    let listed = EnvironmentVariable.allCases.map(\.rawValue).filter { !$0.contains("_AMQP_") }
    #expect(Set(options + others) == Set(listed + EnvironmentVariable.otherBeginnings))
  }
}
