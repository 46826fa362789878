import TaskLogPlugin

/// A row of the table `event` as integers: without reference-counted fields, so that pages of rows
/// are cheap to fill, order and discard. `EventDecoder` turns it into an event.
package struct EventRow: CausalItem {
  /// Properties of the row that `CausalOrder` needs.
  struct Role: OptionSet {
    var rawValue: UInt8

    static let givesProcessing = Role(rawValue: 1)
    static let givesWorkerDone = Role(rawValue: 2)
    static let waitsForProcessing = Role(rawValue: 4)
    static let waitsForWorkerDone = Role(rawValue: 8)
    /// `task_run` is not NULL.
    static let hasTaskRun = Role(rawValue: 16)
    /// The event is not wanted; the row is only needed for the order.
    static let isUnwanted = Role(rawValue: 32)
    /// It was emitted by the cursor that this one resumes.
    static let isGiven = Role(rawValue: 64)
  }

  package var seq: Int64
  package var source: Int64
  package var sourceSeq: Int64
  package var time: Int64
  package var hook: Int64
  /// Row IDs; 0 if there is none.
  package var key: Int64
  package var start: Int64
  package var finish: Int64
  package var stimulus: Int64
  package var worker: Int64
  package var taskRun: Int64
  var args: TextRange
  var snapshot: TextRange
  var role: Role

  package var isGiven: Bool { role.contains(.isGiven) }

  package var taskRunID: Int64? { role.contains(.hasTaskRun) ? taskRun : nil }

  package func given(schedulers: Set<Int64>) -> CausalCause? {
    if role.contains(.givesProcessing) {
      return CausalCause(kind: .processing, key: key, number: taskRun)
    }
    if role.contains(.givesWorkerDone) {
      return CausalCause(kind: .workerDone, key: key, number: stimulus)
    }
    return nil
  }

  package func cause(schedulers: Set<Int64>) -> CausalCause? {
    if role.contains(.waitsForProcessing) {
      return CausalCause(kind: .processing, key: key, number: taskRun)
    }
    if role.contains(.waitsForWorkerDone) {
      return CausalCause(kind: .workerDone, key: key, number: stimulus)
    }
    return nil
  }
}

/// The location of a column's text: the store of its page, the offset and the length.
struct TextRange {
  var page: Int32
  var start: Int32
  /// Negative for NULL.
  var count: Int32

  static let null = TextRange(page: 0, start: 0, count: -1)
}

/// The text of rows that have been read and not emitted, page by page.
struct TextStore {
  /// Text of earlier pages with rows not yet emitted.
  private var older: [Int32: [UInt8]] = [:]
  private var current: [UInt8] = []
  private var number: Int32 = 0

  /// Stores the text of a page and returns the store of the previous page for reuse of its memory.
  ///
  /// - Parameter keepingOlder: whether rows of earlier pages have still to be decoded.
  mutating func take(_ page: inout EventPage, keepingOlder: Bool) {
    if keepingOlder {
      older[number] = current
      current = []
    } else if !older.isEmpty {
      older.removeAll(keepingCapacity: true)
    }
    number = page.number
    swap(&current, &page.text)
  }

  func text(_ place: TextRange) -> String? {
    withBytes(place) { String(decoding: $0, as: UTF8.self) }
  }

  func withBytes<Result>(
    _ place: TextRange, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    guard place.count >= 0 else { return nil }
    let range = Int(place.start)..<Int(place.start) + Int(place.count)
    func give(_ bytes: [UInt8]) throws -> Result {
      try bytes.withUnsafeBufferPointer {
        try body(UnsafeBufferPointer(rebasing: $0[range]))
      }
    }
    if place.page == number { return try give(current) }
    guard let text = older[place.page] else { return nil }
    return try give(text)
  }
}
