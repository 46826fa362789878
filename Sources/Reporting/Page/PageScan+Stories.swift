import EventLog

/// Appends events to stories: the kind of event, the time since the previous event, and the worker.
extension PageScan {
  mutating func appendToStory(
    _ task: Int, _ row: EventRow, isScheduler: Bool, _ worker: Int?, _ time: Int64
  ) {
    let kind = index(
      of: Kind(isScheduler: isScheduler, hook: row.hook, start: row.start, finish: row.finish))
    // A scheduler event without a worker does not change the location of the story.
    let isElsewhere = worker.map { Int32($0) != tasks[task].storyWorker } ?? false
    // The lowest two bits: 0 no worker, 1 the same worker, 2 another worker, which follows.
    let head = UInt64(kind) << 2 | (worker == nil ? 0 : isElsewhere ? 2 : 1)
    var story = tasks[task].story
    arena.append(number: head, to: &story)
    if tasks[task].events == 0 {
      tasks[task].first = time
      tasks[task].last = time
    }
    let step = time - tasks[task].last
    arena.append(number: UInt64(bitPattern: (step << 1) ^ (step >> 63)), to: &story)
    if isElsewhere, let worker {
      arena.append(number: UInt64(worker), to: &story)
      tasks[task].storyWorker = Int32(worker)
    }
    tasks[task].story = story
    tasks[task].last = time
    tasks[task].events += 1
  }

  mutating func index(of kind: Kind) -> Int {
    if let lastKind, lastKind.kind == kind { return lastKind.index }
    let index = kindIndexes[kind] ?? kinds.count
    if index == kinds.count {
      kinds.append(kind)
      kindIndexes[kind] = index
    }
    lastKind = (kind, index)
    return index
  }
}
