import EventLog

/// What is known of each task while a run is gone through.
struct TaskTable {
  struct Slot {
    /// Its number in the file; 0 for a key that only a graph has named.
    var key: Int64 = 0
    /// Times of the story's first and last event, in microseconds.
    var first: Int64 = 0
    var last: Int64 = 0
    /// What its last outcome told.
    var nbytes: Int64 = 0
    /// What each of its holders was said to hold.
    var held: Int64 = 0
    /// Since when a worker runs it, where no end is known.
    var executingSince: Int64 = 0
    var story = StoryArena.Place()
    var events: UInt32 = 0
    var prefix: Int32 = 0
    var typename: Int32 = 0
    /// The worker that the story was at last.
    var storyWorker: Int32 = -1
    var processingOn: Int32 = -1
    /// A worker that holds its result; others are in a table beside.
    var holder: Int32 = -1
    var executingOn: Int32 = -1
    var run: Int32 = 0
    var sent: UInt32 = 0
    /// The place of its state at the scheduler.
    var state: UInt8 = PageStates.none
    var isAtScheduler = false
  }

  private static let pageBits: Int64 = 12

  private(set) var slots: ContiguousArray<Slot> = []
  private(set) var edges: (tasks: [Int32], needs: [Int32]) = ([], [])
  private var pages: [Int64: ContiguousArray<Int32>] = [:]
  private var lastPage: Int64 = -1
  private var current: ContiguousArray<Int32> = []
  private var byIdentity: [UInt64: Int32] = [:]
  private var run: Int32 = -1

  subscript(task: Int) -> Slot {
    _read { yield slots[task] }
    _modify { yield &slots[task] }
  }

  /// Keys that come now are those of another run.
  mutating func beginRun() {
    run += 1
    pages = [:]
    lastPage = -1
    current = []
    byIdentity = [:]
  }

  /// The place of a key by its number in the file.
  ///
  /// - Parameter load: gives the key for its identity, when it is met for the first time.
  mutating func task(ofKey key: Int64, load: () throws -> UInt64) rethrows -> Int {
    let page = key >> Self.pageBits
    let place = Int(key & (1 << Self.pageBits - 1))
    if page != lastPage {
      if lastPage >= 0 { pages[lastPage] = current }
      // The page is taken out of the table, so that changing it copies nothing.
      current =
        pages.removeValue(forKey: page)
        ?? ContiguousArray(repeating: -1, count: 1 << Self.pageBits)
      lastPage = page
    }
    if current[place] >= 0 { return Int(current[place]) }
    let task = task(ofIdentity: try load())
    slots[task].key = key
    current[place] = Int32(task)
    return task
  }

  /// The place of a key by the hash of its JSON, as graphs name it.
  mutating func task(ofIdentity identity: UInt64) -> Int {
    if let known = byIdentity[identity] { return Int(known) }
    let task = slots.count
    slots.append(Slot())
    slots[task].run = run
    byIdentity[identity] = Int32(task)
    return task
  }

  mutating func addEdge(_ task: Int, needs other: Int) {
    edges.tasks.append(Int32(task))
    edges.needs.append(Int32(other))
  }
}

/// The states of a task at the scheduler that are counted over time.
enum PageStates {
  static let names = [
    "released", "waiting", "no-worker", "queued", "processing", "memory", "erred", "forgotten",
  ]
  static let none: UInt8 = 255
  static let processing: UInt8 = 4
  static let memory: UInt8 = 5
  static let erred: UInt8 = 6
  static let forgotten: UInt8 = 7
}
