import TestSupport
import Testing

@testable import LogFormat
@testable import TaskLogPlugin

/// Values in the spool are read as they were written.
@Suite struct SpoolRecordTests {
  @Test func `an event is the same after MessagePack`() throws {
    var random = Randomness.generator(211)
    var writer = MessagePackWriter(capacity: 1)
    for place in 0..<Randomness.count {
      let event = random.event()
      writer.removeAll()
      writer.write(event, number: place, sourceSeq: Int64(place) * 3)
      guard case .event(let number, let sourceSeq, let encoded) = try SpoolRecord(writer.bytes)
      else {
        Issue.record("seed \(Randomness.seed), event \(place): no event")
        continue
      }
      let read = try encoded.decoded()
      #expect(number == place && sourceSeq == Int64(place) * 3)
      #expect(
        read.isSame(as: event), "seed \(Randomness.seed), event \(place): \(read) is not \(event)")
    }
  }

  @Test func `sources, gaps and parts are the same after MessagePack`() throws {
    var writer = MessagePackWriter()
    let source = Source(kind: .worker, id: "Worker-1", address: "tcp://w", name: .tuple([1, "b"]))
    writer.write(source: source, number: 300)
    guard case .source(300, let read) = try SpoolRecord(writer.bytes) else {
      Issue.record("no source")
      return
    }
    #expect(read == source)
    writer.removeAll()
    writer.writeGap(number: 1, sourceSeq: 1 << 40, count: 7, time: -5, reason: "disk full")
    guard case .gap(1, 0x100_0000_0000, 7, -5, "disk full") = try SpoolRecord(writer.bytes) else {
      Issue.record("no gap")
      return
    }
    writer.removeAll()
    let bytes = [UInt8](repeating: 9, count: 70_000)
    bytes.withUnsafeBytes { writer.writePart($0, index: 1, count: 3, number: 2) }
    guard case .part(2, 1, 3, bytes) = try SpoolRecord(writer.bytes) else {
      Issue.record("no part")
      return
    }
  }

  private static func read(_ bytes: UnsafeRawBufferPointer) throws {
    if case .event(_, _, let event) = try SpoolRecord(bytes) { _ = try event.decoded() }
  }

  @Test func `snapshots are the same MessagePack values as plugins' dictionaries`() throws {
    var random = Randomness.generator(213)
    var direct = MessagePackWriter()
    var byValue = MessagePackWriter()
    for place in 0..<Randomness.count {
      let snapshot = random.snapshot()
      if let value = snapshot.value {
        direct.removeAll()
        byValue.removeAll()
        direct.write(snapshot)
        byValue.write(value)
        var (one, other) = (MessagePackReader(direct.bytes), MessagePackReader(byValue.bytes))
        #expect(try one.value() == other.value(), "snapshot \(place)")
      }
      let args = random.factArgs()
      direct.removeAll()
      direct.write(args)
      var reader = MessagePackReader(direct.bytes)
      #expect(try reader.args() == args.content, "args \(place)")
    }
  }

  @Test func `MessagePack becomes the same JSON as the values in it`() throws {
    var random = Randomness.generator(214)
    var writer = MessagePackWriter()
    var json = JSONWriter()
    for place in 0..<Randomness.count {
      let value = random.value()
      writer.removeAll()
      writer.write(value)
      var reader = MessagePackReader(writer.bytes)
      json.removeAll()
      try reader.write(to: &json)
      #expect(String(decoding: json.output, as: UTF8.self) == JSONWriter.text(value), "\(place)")
      #expect(reader.isAtEnd)
      let args = random.args()
      writer.removeAll()
      writer.write(args)
      reader = MessagePackReader(writer.bytes)
      json.removeAll()
      #expect(try reader.writeArgs(to: &json) == !args.isEmpty)
      if !args.isEmpty {
        #expect(String(decoding: json.output, as: UTF8.self) == JSONWriter.text(args), "\(place)")
      }
    }
  }

  @Test func `a truncated or changed record is refused or read, and never traps`() throws {
    var random = Randomness.generator(212)
    var writer = MessagePackWriter()
    for _ in 0..<Randomness.count / 10 {
      writer.removeAll()
      writer.write(random.event(), number: 1, sourceSeq: 1)
      var bytes = Array(writer.bytes)
      bytes.withUnsafeBytes { whole in
        let part = UnsafeRawBufferPointer(rebasing: whole.prefix(random.below(whole.count)))
        #expect(throws: MessagePackError.self) { try Self.read(part) }
      }
      for _ in 0..<8 { bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8)) }
      bytes.withUnsafeBytes { _ = try? Self.read($0) }
    }
  }

  @Test func `hooks and states keep their numbers`() {
    // These numbers are in spools on disks: the lists only ever grow at their ends.
    #expect(Hook.known.map(\.place) == Array(0..<32))
    #expect(State.known.map(\.knownIndex) == Array(0..<19))
    #expect(Hook.at(13) == .transition && Hook.at(31) == .submission && State.at(4) == .processing)
    #expect(State.at(99) == .other("#99"))
  }
}
