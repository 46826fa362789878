import CSQLite
import Glibc
import LogFormat

/// Scans a long range of row IDs in parts: threads read parts ahead, each with its own connection,
/// and the caller consumes them in order.
///
/// `read` decodes the rows and runs on several threads at once; work that must be done in order, or
/// keeps state from row to row, belongs in `take`, which runs on the caller's thread. Each part has
/// its own transaction, so that the write-ahead log can be checkpointed, and only a few parts are
/// in memory at a time.
package struct ParallelScan<Part: Sendable> {
  /// Row IDs per part: some hundreds of kilobytes of rows, which stay in the processor's cache.
  package static var usualSize: Int64 { 1 << 14 }

  /// A SELECT over rows whose IDs are between its two parameters, both inclusive.
  let sql: String
  private let range: ClosedRange<Int64>
  private let partSize: Int64

  /// - Parameter partSize: grows if there would be too many parts. Only a log of more than a
  ///   thousand million events, or a damaged one, has row IDs that are so far apart.
  package init(_ sql: String, over range: ClosedRange<Int64>, partSize: Int64 = usualSize) {
    self.sql = sql
    self.range = range
    let width = UInt64(bitPattern: range.upperBound &- range.lowerBound)
    self.partSize = max(partSize, Int64(width >> 16) + 1)
  }

  private var count: Int {
    Int(UInt64(bitPattern: range.upperBound &- range.lowerBound) / UInt64(partSize)) + 1
  }

  private func part(_ index: Int) -> ClosedRange<Int64> {
    let first = range.lowerBound &+ Int64(index) &* partSize
    let isLast = index == count - 1
    return first...(isLast ? range.upperBound : first &+ (partSize - 1))
  }

  /// - Parameters:
  ///   - threads: the number of reading threads; `nil` for one per processor, and none for a short
  ///     range.
  ///   - read: makes a part of the rows of a statement that is ready to be stepped.
  ///   - take: receives the parts in order.
  /// - Throws: what either throws, `SQLiteError`, `LogError`.
  package func run(
    _ reader: LogReader, threads: Int? = nil,
    read: @escaping @Sendable (Statement, ClosedRange<Int64>) throws -> Part,
    take: (Part) throws -> Void
  ) throws {
    let processors = ParallelThread.processors
    // https://sqlite.org/threadsafe.html: a library that was built for single-threaded use.
    let canShare = sqlite3_threadsafe() != 0 && processors > 1
    let threads = threads ?? (count < 4 || !canShare ? 0 : min(processors, 8))
    guard threads > 0 else {
      let select = try reader.connection.prepare(sql)
      for index in 0..<count { try take(try rows(select, index, read)) }
      return
    }
    let queue = OrderedWorkQueue<Part>(count: count, ahead: threads + 2)
    let path = reader.path
    let started = (0..<threads).compactMap { _ in
      ParallelThread.start {
        do {
          let connection = try LogFile.openForReading(path)
          let select = try connection.prepare(sql)
          while let index = queue.next() {
            queue.put(Result { try rows(select, index, read) }, at: index)
          }
        } catch {
          // The consumer that waits for the next part receives the error.
          if let index = queue.next() { queue.put(.failure(error), at: index) }
        }
      }
    }
    defer {
      queue.close()
      for thread in started { pthread_join(thread, nil) }
    }
    guard !started.isEmpty else {
      // No thread could be started: it runs without.
      return try run(reader, threads: 0, read: read, take: take)
    }
    for index in 0..<count { try take(try queue.take(index).get()) }
  }

  private func rows(
    _ select: Statement, _ index: Int, _ read: (Statement, ClosedRange<Int64>) throws -> Part
  ) throws -> Part {
    defer { select.reset() }
    let part = part(index)
    try select.bind(1, part.lowerBound)
    try select.bind(2, part.upperBound)
    return try read(select, part)
  }
}

extension Statement {
  /// Steps through rows in ascending order of their ID, which is column 0.
  ///
  /// - Throws: `LogError.damaged` if an ID is out of the range or not after the previous one.
  package func forEachRow(
    in range: ClosedRange<Int64>, _ path: String, _ body: (_ number: Int64) throws -> Void
  ) throws {
    var last: Int64?
    while try step() {
      let number = integer(0)
      guard range.contains(number), last.map({ number > $0 }) ?? true else {
        throw LogError.damaged(path: path, reason: "its events are out of order")
      }
      last = number
      try body(number)
    }
  }
}

extension LogReader {
  /// The range of row IDs of a run's events; `nil` if there are none.
  package func range(of run: RunInfo) throws -> ClosedRange<Int64>? {
    guard let first = run.firstSeq, let last = run.lastSeq,
      let lowest = try connection.integer("SELECT min(seq) FROM event"),
      let highest = try connection.integer("SELECT max(seq) FROM event")
    else { return nil }
    // A damaged log may say anything about its runs.
    let (low, high) = (max(first, lowest), min(last, highest))
    return low <= high ? low...high : nil
  }
}
