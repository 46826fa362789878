import TaskLogKit
import Testing

@testable import Recording

/// Args that are too long are truncated to their beginning, with their original length.
@Suite struct ArgsCapTests {
  private func recorded(_ args: Args, limit: Int) throws -> (args: Args, log: TemporaryLog) {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.maximumArgsBytes = limit
    options.redactedArgs = ["token"]
    let recorder = try Recorder(log: log.path, options: options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    channel.record(Event(.logEvent, time: 1, args: args))
    recorder.close()
    let found = try #require(try log.events().values.first?.first?.event.args)
    // Decoded while the log exists.
    return (Args(found.content), log)
  }

  @Test func `long args are truncated to one length, short ones are kept whole`() throws {
    let args = Args(
      positional: [.string(String(repeating: "é", count: 5000))],
      named: [
        .init("worker", "tcp://w"), .init("nbytes", 8), .init("token", "hunter2"),
        .init("data", .bytes([UInt8](repeating: 1, count: 9000))),
        .init("list", .list((0..<3000).map { .int(Int64($0)) })),
      ])
    let found = try recorded(args, limit: 3000).args
    #expect(found["worker"] == "tcp://w")
    #expect(found["nbytes"] == 8)
    #expect(found["token"] == .opaque("redacted"))
    let content = found.content
    for (value, size) in [
      (content.positional[0], 10_005), (try #require(content["data"]), 9005),
      (try #require(content["list"]), 8619),
    ] {
      guard case .tagged("$capped", let facts) = value else {
        Issue.record("not cut: \(value)")
        continue
      }
      #expect(value.isOpaque)
      #expect(facts["bytes"] == .int(Int64(size)))
      let head = try #require(facts["head"])
      switch head {
      case .string(let text): #expect((900...1000).contains(text.utf8.count))
      case .bytes(let bytes): #expect((900...1000).contains(bytes.count))
      default: #expect(head.elements?.prefix(3) == [0, 1, 2])
      }
    }
  }

  @Test func `args within the limit are unchanged`() throws {
    let args = Args(named: [.init("a", .string(String(repeating: "x", count: 900)))])
    #expect(try recorded(args, limit: 1000).args == args)
    #expect(try recorded(args, limit: 100).args != args)
  }

  @Test func `args that are truncated and redacted are counted`() throws {
    let args = Args(named: [
      .init("a", .string(String(repeating: "x", count: 900))), .init("token", 1),
      .init("b", #"{"$capped": "$opaque":"redacted""#),
    ])
    let log = try recorded(args, limit: 100).log
    let reader = try LogReader(path: log.path)
    let run = try reader.runs(matching: "latest")[0]
    #expect(run.limits.options.map(\.name) == ["redactedArgs", "maximumArgsBytes"])
    #expect(!run.limits.isFiltered)
    let kinds = try reader.eventKinds(of: run)
    #expect(kinds.map { [$0.events, $0.redacted, $0.capped, $0.excluded] } == [[1, 1, 1, 0]])
  }
}
