import Testing

@testable import Recording

@Suite struct SpoolTests {
  /// Reads the records that the producers have written.
  private func drain(_ reader: inout SpoolReader, before end: SpoolPosition) -> [UInt64] {
    var numbers: [UInt64] = []
    while case .record(let content, _) = reader.next(before: end) {
      numbers.append(content.loadUnaligned(as: UInt64.self))
    }
    return numbers
  }

  @Test func `drained segments are reused and reveal nothing of their earlier content`()
    throws
  {
    let log = try TemporaryLog()
    let spool = try Spool(folder: log.folder.path, segmentSize: 4096, limit: 1 << 20)
    var reader = SpoolReader(from: .start) { spool.mapping(of: $0) }
    var read: [UInt64] = []
    for number in 0..<5000 as Range<UInt64> {
      // Of different lengths, so that records are not at the offsets of earlier ones.
      let content = [number] + Array(repeating: .max, count: Int(number % 7))
      #expect(content.withUnsafeBytes { spool.put($0) })
      guard number % 300 == 299 else { continue }
      read += drain(&reader, before: spool.end)
      spool.remove(before: reader.position, keepMapped: reader.unfinished)
      #expect(try log.names.contains { $0.hasPrefix("spare.") })
      spool.prepare()
    }
    // A reader that finds it after the death of its process reads only what had not been drained.
    let left = try SpoolFolder(log.folder.path)
    var late = SpoolReader(from: reader.position) { left.mappings[$0] }
    var rest: [UInt64] = []
    while true {
      switch late.next(before: left.end) {
      case .record(let content, _):
        rest.append(content.loadUnaligned(as: UInt64.self))
        continue
      case .hole:
        late.skip(to: left.end)
        continue
      case .end: break
      }
      break
    }
    #expect(read + rest == Array(0..<5000))
    left.unmap()
    spool.removeAll()
    #expect(try log.names == [])
  }

  @Test func `a full spool accepts a limited number of reserved records`() throws {
    let log = try TemporaryLog()
    let spool = try Spool(folder: log.folder.path, segmentSize: 4096, limit: 8192)
    func put(isReserved: Bool) -> Bool {
      [UInt64](repeating: 1, count: 100).withUnsafeBytes { spool.put($0, isReserved: isReserved) }
    }
    while put(isReserved: false) {}
    #expect(spool.reasonForLoss == "spool limit reached")
    #expect(put(isReserved: true))
    var count = 0
    while put(isReserved: true) { count += 1 }
    // Four records of 808 bytes fit into a segment.
    #expect(count < 8 * 5)
    #expect(try log.names.count { Int($0) != nil } == 2 + 8)
    spool.removeAll()
  }
}
