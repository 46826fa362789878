import EventLog

/// The current state of each task while a run is scanned.
struct TaskTable {
  struct Slot {
    /// The row ID of its key; 0 for a key that only a graph has named.
    var key: Int64 = 0
    /// Times of the story's first and last event, in microseconds.
    var first: Int64 = 0
    var last: Int64 = 0
    /// The size in its last outcome.
    var nbytes: Int64 = 0
    /// The size at each of its holders.
    var held: Int64 = 0
    /// The start at the worker that runs it, while no end is known.
    var executingSince: Int64 = 0
    /// The first transition at the scheduler; `.max` if there is none.
    var seen = Int64.max
    /// The event by which the scheduler sent it last, and its time; 0 if there is none.
    var sentSeq: Int64 = 0
    var sentTime: Int64 = 0
    var story = StoryArena.Place()
    var events: UInt32 = 0
    var prefix: Int32 = 0
    var typename: Int32 = 0
    /// The last worker in the story.
    var storyWorker: Int32 = -1
    var processingOn: Int32 = -1
    /// A worker with its result; further ones are in `PageScan.otherHolders`.
    var holder: Int32 = -1
    var executingOn: Int32 = -1
    var run: Int32 = 0
    /// The index of its state at the scheduler in `PageStates.names`.
    var state: UInt8 = PageStates.none
    var isAtScheduler = false
    /// Whether it is in the scope; not set if the page shows whole runs.
    var isSelected = false
  }

  private static let pageBits: Int64 = 12

  private(set) var slots: ContiguousArray<Slot> = []
  private(set) var edges: (tasks: [Int32], needs: [Int32]) = ([], [])
  private var pages: [Int64: ContiguousArray<Int32>] = [:]
  private var lastPage: Int64?
  private var current: ContiguousArray<Int32> = []
  private var byIdentity: [UInt64: Int32] = [:]
  private var run: Int32 = -1

  subscript(task: Int) -> Slot {
    _read { yield slots[task] }
    _modify { yield &slots[task] }
  }

  /// Starts another run, with its own keys.
  mutating func beginRun() {
    run += 1
    pages = [:]
    lastPage = nil
    current = []
    byIdentity = [:]
  }

  /// The index of a task by the row ID of its key.
  ///
  /// - Parameter load: returns the identity of the key, called at its first use.
  mutating func task(ofKey key: Int64, load: () throws -> UInt64) rethrows -> Int {
    let page = key >> Self.pageBits
    let offset = Int(key & (1 << Self.pageBits - 1))
    if page != lastPage {
      if let lastPage { pages[lastPage] = current }
      // The page is moved out of the table, so that changing it makes no copy.
      current =
        pages.removeValue(forKey: page)
        ?? ContiguousArray(repeating: -1, count: 1 << Self.pageBits)
      lastPage = page
    }
    if current[offset] >= 0 { return Int(current[offset]) }
    let task = task(ofIdentity: try load())
    slots[task].key = key
    current[offset] = Int32(task)
    return task
  }

  /// The index of a task by the hash of its key's JSON, as used in graphs.
  mutating func task(ofIdentity identity: UInt64) -> Int {
    if let existing = byIdentity[identity] { return Int(existing) }
    let task = slots.count
    slots.append(Slot())
    slots[task].run = run
    byIdentity[identity] = Int32(task)
    return task
  }

  /// Keeps some tasks only, and the edges between them.
  ///
  /// - Parameter indexes: the new index of each task; negative for those that are removed.
  mutating func renumber(_ indexes: [Int32]) {
    var kept: ContiguousArray<Slot> = []
    for (slot, index) in zip(slots, indexes) where index >= 0 { kept.append(slot) }
    slots = kept
    let old = edges
    edges = ([], [])
    for (task, need) in zip(old.tasks, old.needs)
    where indexes[Int(task)] >= 0 && indexes[Int(need)] >= 0 {
      addEdge(Int(indexes[Int(task)]), needs: Int(indexes[Int(need)]))
    }
    // No more tasks are looked up.
    (pages, current, byIdentity, lastPage) = ([:], [], [:], nil)
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
