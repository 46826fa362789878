import Foundation
import Synchronization
import TaskLogKit
import TestSupport
import TestTraits
import Testing

@testable import Recording

/// Readers never block the writer, the writer never breaks a reader.
@Suite(.exclusive(.services)) struct ReadersTests {
  private struct Seen {
    var errors: [String] = []
    var rounds = 0
    var largestWAL = 0
    var followed: Int64 = 0
  }

  private final class Shared: Sendable {
    let isDone = Atomic(false)
    let seen = Mutex(Seen())
  }

  @Test func `continuous readers meet no error, and the write-ahead log stays bounded`()
    throws
  {
    let log = try TemporaryLog()
    let path = log.path
    let recorder = try Recorder(log: path)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    let count = 60_000
    let shared = Shared()
    // Separate threads: the pool of tasks may have no room for all three at once.
    onThreads(3) { number in
      if number == 0 {
        Self.write(count, to: channel)
        shared.isDone.store(true, ordering: .releasing)
      } else {
        repeat {
          Self.look(at: path, whole: number == 1, shared)
        } while !shared.isDone.load(ordering: .acquiring)
      }
    }
    recorder.close()
    let end = shared.seen.withLock { $0 }
    #expect(end.errors == [])
    #expect(end.rounds > 2)
    // The limit, and what one more transaction can add to it.
    #expect(end.largestWAL < 160 << 20)
    #expect(try Self.readAll(path) == count)
  }

  private static func write(_ count: Int, to channel: any EventChannel) {
    let text = Value.string(String(repeating: "x", count: 1000))
    for number in 0..<count {
      channel.record(
        Event(
          .logEvent, time: Int64(number), key: Key("k", number),
          args: Args(named: [.init("text", text)])))
    }
  }

  /// Reads all events, or follows their number.
  private static func look(at path: String, whole: Bool, _ shared: Shared) {
    do {
      let events = whole ? try readAll(path) : try last(path)
      shared.seen.withLock { seen in
        seen.rounds += 1
        guard !whole else { return }
        if events < seen.followed { seen.errors.append("events went away") }
        seen.followed = events
      }
    } catch {
      shared.seen.withLock { $0.errors.append("\(error)") }
    }
    var status = stat()
    guard stat(path + "-wal", &status) == 0 else { return }
    shared.seen.withLock { $0.largestWAL = max($0.largestWAL, Int(status.st_size)) }
  }

  private static func readAll(_ path: String) throws -> Int64 {
    let reader = try LogReader(path: path)
    guard let run = try reader.runs().last else { return 0 }
    var count: Int64 = 0
    for info in try reader.sources(of: run) {
      let cursor = try reader.events(of: info)
      while try cursor.nextEvent() != nil { count += 1 }
    }
    return count
  }

  private static func last(_ path: String) throws -> Int64 {
    let reader = try LogReader(path: path)
    return try reader.runs().last.map { try reader.totals(of: $0).events } ?? 0
  }

  @Test func `more sources than fit into one control file all have their count`() throws {
    let log = try TemporaryLog()
    let spool = try Spool(folder: log.folder.path, segmentSize: 4096, limit: 1 << 20)
    let last = SpoolLayout.slotsInControl * 2 + 7
    #expect(spool.slot(of: last) != nil)
    #expect(try log.names == ["1", "control", "control.1", "control.2"])
    spool.slot(of: last)?.pointee = 42
    spool.slot(of: 0)?.pointee = 1
    #expect(spool.lastSourceSeqs.map(\.source) == [0, last])
    #expect(try SpoolFolder(log.folder.path).lastSourceSeqs.map(\.last) == [1, 42])
    spool.removeAll()
    #expect(try log.names == [])
  }
}
