#if RabbitMQ
  import Foundation
  import TaskLogKit
  import TestSupport
  import TestTraits
  import Testing

  /// A recorder that writes a log and publishes at once.
  @Suite(.exclusive(.services)) struct LogAndQueueTests {
    @Test func `the log and the published messages contain the same run`() async throws {
      let queue = try Queue()
      let log = queue.folder("direct.db")
      var options = Recorder.Options()
      options.filter.excludeHooks = ["addWorker"]
      options.segmentSize = 64 << 10
      let recorder = try Recorder(
        log: log, options: options,
        publishing: Publishing(
          to: queue.broker.url, queue: queue.name, payload: .events(batch: 20), spool: queue.spool))
      let cluster = try await LocalCluster(workers: 2, recorder: recorder)
      let squares = cluster.client.map("square", Array(1...200)) { $0 * $0 }
      let total = cluster.client.submit("total", all: squares) { $0.reduce(0, +) }
      #expect(try await total.result() == (1...200).reduce(0) { $0 + $1 * $1 })
      // Longer than a segment of the spool: it is split into parts.
      let channel = recorder.channel(for: Source(kind: .worker, id: "other", address: "a"))
      var long = transition(1)
      long.args = Args(named: [.init("text", .string(String(repeating: "x", count: 200_000)))])
      channel.record(long)
      #expect(recorder.flush(timeoutSeconds: 30))
      await cluster.close()
      try queue.record()
      let (expected, found) = (try LogReader(path: log), try queue.log())
      #expect(try found.runs().map(\.id) == [recorder.runID])
      #expect(try found.recorded() == expected.recorded())
      #expect(try expected.recorded().contains { $0.event.hook == .excluded })
      #expect(try found.runs().map(\.end) == [.closed])
      #expect(!FileManager.default.fileExists(atPath: queue.spool))
    }

    @Test func `a missing broker does not affect the log`() async throws {
      let queue = try Queue()
      let log = queue.folder("direct.db")
      let told = Told()
      var options = Recorder.Options()
      options.segmentSize = 16 << 10
      options.spoolLimit = 256 << 10
      options.closeSeconds = 0.3
      options.problem = { told.add($0) }
      let recorder = try Recorder(
        log: log, options: options,
        publishing: Publishing(
          to: "amqp://127.0.0.1:\(Broker.freePort())", queue: queue.name,
          payload: .events(batch: 20), spool: queue.spool))
      let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
      let count = 20_000
      for number in 1...count {
        channel.record(transition(number))
        // The log keeps up, and the other spool overflows.
        guard number % 500 == 0 else { continue }
        #expect(
          waits {
            guard let reader = try? LogReader(path: log), let run = try? reader.runs().last
            else { return false }
            return (try? reader.eventCount(of: run)) == Int64(number)
          })
      }
      await recorder.finish()
      let reader = try LogReader(path: log)
      let run = try #require(try reader.runs().last)
      #expect(try reader.missing(of: run) == 0)
      #expect(run.end == .closed)
      #expect(told.lines.count == 2, "\(told.lines)")

      // The next publisher sends what was stored in the spool; the rest is reported as a gap.
      let next = try queue.plugin()
      next.channel(for: Source(kind: .scheduler, id: "s", address: "a")).record(transition(1))
      #expect(next.flush(timeoutSeconds: 30))
      await next.finish()
      try queue.record()
      let consumed = try queue.log()
      let first = try #require(try consumed.runs().first { $0.id == recorder.runID })
      let found = try consumed.eventCount(of: first)
      #expect(found > 500)
      #expect(found + (try consumed.missing(of: first)) == Int64(count))
    }
  }
#endif
