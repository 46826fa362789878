import TaskLogPlugin

/// A row of the table `event` as numbers: nothing in it is counted, so that pages of rows are cheap
/// to fill, to order and to throw away. `EventDecoder` makes the event of it.
package struct EventRow: CausalItem {
  /// What the row is to `CausalOrder`.
  struct Role: OptionSet {
    var rawValue: UInt8

    static let givesProcessing = Role(rawValue: 1)
    static let givesWorkerDone = Role(rawValue: 2)
    static let waitsForProcessing = Role(rawValue: 4)
    static let waitsForWorkerDone = Role(rawValue: 8)
    /// `task_run` is not NULL.
    static let hasTaskRun = Role(rawValue: 16)
    /// Nobody wants the event; the row is only here for the order.
    static let isUnwanted = Role(rawValue: 32)
    /// It was given out by a cursor that this one goes on from.
    static let isGiven = Role(rawValue: 64)
  }

  package var seq: Int64
  package var source: Int64
  package var sourceSeq: Int64
  package var time: Int64
  package var hook: Int64
  /// Numbers of rows; 0 where there is none.
  package var key: Int64
  package var start: Int64
  package var finish: Int64
  package var stimulus: Int64
  package var worker: Int64
  package var taskRun: Int64
  var args: TextPlace
  var snapshot: TextPlace
  var role: Role

  var isGiven: Bool { role.contains(.isGiven) }

  func given(schedulers: Set<Int64>) -> CausalCause? {
    if role.contains(.givesProcessing) {
      return CausalCause(kind: .processing, key: key, number: taskRun)
    }
    if role.contains(.givesWorkerDone) {
      return CausalCause(kind: .workerDone, key: key, number: stimulus)
    }
    return nil
  }

  func cause(schedulers: Set<Int64>) -> CausalCause? {
    if role.contains(.waitsForProcessing) {
      return CausalCause(kind: .processing, key: key, number: taskRun)
    }
    if role.contains(.waitsForWorkerDone) {
      return CausalCause(kind: .workerDone, key: key, number: stimulus)
    }
    return nil
  }
}

/// Where the text of a column lies: in which page's store, from where on, and how long it is.
struct TextPlace {
  var page: Int32
  var start: Int32
  /// Below 0 for NULL.
  var count: Int32

  static let null = TextPlace(page: 0, start: 0, count: -1)
}

/// The text of the rows that have been read and not given out, page by page.
struct TextStore {
  private var pages: [Int32: [UInt8]] = [:]
  private var current: [UInt8] = []
  private(set) var page: Int32 = 0

  /// Begins a page; those before it can go when nothing waits.
  mutating func beginPage(keepingOlder: Bool) {
    if keepingOlder {
      pages[page] = current
      current = []
    } else {
      pages.removeAll(keepingCapacity: true)
      current.removeAll(keepingCapacity: true)
    }
    page &+= 1
  }

  /// Keeps a NUL behind each text, so that a scan of numbers ends there.
  mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) -> TextPlace {
    let start = current.count
    // A page of such rows is beyond what SQLite's limits allow.
    guard let place = Int32(exactly: start), let count = Int32(exactly: bytes.count) else {
      return .null
    }
    current.append(contentsOf: bytes)
    current.append(0)
    return TextPlace(page: page, start: place, count: count)
  }

  func text(_ place: TextPlace) -> String? {
    withBytes(place) { String(decoding: $0, as: UTF8.self) }
  }

  func withBytes<Result>(
    _ place: TextPlace, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    guard place.count >= 0 else { return nil }
    let range = Int(place.start)..<Int(place.start) + Int(place.count)
    func give(_ bytes: [UInt8]) throws -> Result {
      try bytes.withUnsafeBufferPointer {
        try body(UnsafeBufferPointer(rebasing: $0[range]))
      }
    }
    if place.page == page { return try give(current) }
    guard let older = pages[place.page] else { return nil }
    return try give(older)
  }
}
