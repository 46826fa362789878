import TaskLogKit
import Testing

@testable import Recording

/// Redacted values of args never reach the disk.
@Suite struct RedactionTests {
  private func recorded(_ event: Event, redacting names: [String]) throws -> Event {
    let log = try TemporaryLog()
    var options = Recorder.Options()
    options.redactedArgs = names
    let recorder = try Recorder(log: log.path, options: options)
    recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(event)
    recorder.close()
    return try #require(try log.events().values.first?.first?.event)
  }

  @Test func `values are redacted by name, at any depth`() throws {
    let secret = Value.string("hunter2")
    let args = Args(
      positional: [.dict([.init("token", secret), .init(1, secret)])],
      named: [
        .init("Password", secret), .init("pass", secret),
        .init("config", .list([.dict([.init("api_key", secret), .init("port", 80)])])),
      ])
    let event = try recorded(
      Event(.logEvent, time: 1, args: args), redacting: ["pass?*", "*KEY", "token"])
    let redacted = Value.opaque("redacted")
    #expect(event.args["Password"] == redacted)
    #expect(event.args["pass"] == secret)
    #expect(
      event.args["config"] == .list([.dict([.init("api_key", redacted), .init("port", 80)])]))
    #expect(
      event.args.content.positional == [.dict([.init("token", redacted), .init(1, secret)])])
  }

  @Test func `the engine's own args and snapshots are redacted by their names`() throws {
    let facts = RunReport(
      worker: "w", nbytes: 8, type: "Swift.Int", typeName: "Int", thread: 1, startStops: [])
    let event = Event(
      .transition, time: 1, key: "x", args: .run(facts),
      snapshot: .task(TaskSnapshot(nbytes: 8, exceptionText: "secret")))
    let kept = try recorded(event, redacting: ["password"])
    #expect(kept.args == event.args)
    #expect(kept.snapshot.decoded == event.snapshot)
    let redacted = try recorded(event, redacting: ["thread", "exception*"])
    #expect(redacted.args["thread"] == .opaque("redacted"))
    #expect(redacted.args["nbytes"] == 8)
    #expect(redacted.snapshot.value?["task"]?["exceptionText"] == .opaque("redacted"))
  }

  @Test func `every field of the engine's own args and snapshots can be redacted`() throws {
    let span = StartStop(action: "compute", start: 1, stop: 2)
    let event = Event(
      .transition, time: 1, key: "x",
      args: .run(
        RunReport(
          worker: "w", nbytes: 8, type: "Swift.Int", typeName: "Int", thread: 1,
          startStops: [span])),
      snapshot: .task(
        TaskSnapshot(
          nbytes: 8, typeName: "Int", exceptionText: "e", tracebackText: "t", startStops: [span],
          comingFrom: "w", cause: "c", retries: 1, suspicious: 1, previous: .fetch,
          state: .memory, counter: 1)))
    let whole = try recorded(event, redacting: ["nothing"])
    guard case .dict(let fields)? = whole.snapshot.value?["task"] else {
      Issue.record("no fields: \(String(describing: whole.snapshot.value))")
      return
    }
    #expect(fields.count == 12)
    for field in fields {
      let name = try #require(field.key.string)
      let redacted = try recorded(event, redacting: [name])
      #expect(redacted.snapshot.value?["task"]?[name] == .opaque("redacted"), "\(name)")
    }
    let names = whole.args.content.named.map(\.name)
    #expect(names.count >= 6)
    for name in names {
      #expect(try recorded(event, redacting: [name]).args[name] == .opaque("redacted"), "\(name)")
    }
  }

  @Test(arguments: [
    ("", "", true), ("a", "", false), ("", "*", true), ("abc", "a*c", true),
    ("abcbc", "a*bc", true),
    ("abc", "a?c", true), ("ac", "a?c", false), ("abc", "*b", false), ("aab", "*ab", true),
    ("API_KEY", "api_*", true),
  ])
  func `patterns match as in a shell`(name: String, pattern: String, isMatch: Bool) throws {
    let redaction = try #require(Redaction([pattern]))
    let event = Event(.logEvent, time: 1, args: Args(named: [.init(name, 1)]))
    let value = redaction.redacted(event).args[name]
    #expect((value == .opaque("redacted")) == isMatch)
  }
}
