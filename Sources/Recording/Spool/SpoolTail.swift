/// Reads a spool that producers are still writing to.
struct SpoolTail {
  private(set) var reader: SpoolReader
  /// How long a producer may sleep between reserving space and filling it.
  private let patienceNanoseconds: Int64
  private var hole: (position: SpoolPosition, since: Int64)?

  init(_ reader: SpoolReader, patienceNanoseconds: Int64) {
    self.reader = reader
    self.patienceNanoseconds = patienceNanoseconds
  }

  var position: SpoolPosition { reader.position }

  /// The next complete record.
  mutating func next(
    before end: SpoolPosition
  ) -> (content: UnsafeRawBufferPointer, position: SpoolPosition)? {
    while true {
      switch reader.next(before: end) {
      case .record(let content, let position):
        hole = nil
        return (content, position)
      case .end: return nil
      case .hole:
        guard let seen = hole, seen.position == reader.position else {
          hole = (reader.position, SpoolThread.now())
          return nil
        }
        guard SpoolThread.now() - seen.since > patienceNanoseconds else { return nil }
        // The producer sleeps: others continue. If it wakes up, its event counts as missing.
        reader.skip(to: end)
      }
    }
  }
}
