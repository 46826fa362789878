import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// The outcomes of tasks: spans of work, results and their locations, failures.
extension PageScan {
  /// Stores the work recorded in the args; most transitions have none.
  ///
  /// - Returns: the worker named by the args, or the given one.
  mutating func outcome(
    _ task: Int, _ row: EventRow, _ cursor: EventCursor, _ about: Int?, _ time: Int64,
    hasFailed: Bool
  ) throws -> Int? {
    let reader = reader
    runArgs = RunArgs()
    let outcome = cursor.withArgs(of: row) { text -> (OutcomeScan, [UInt8]) in
      let scan = OutcomeScan(text, retainsSpans: true)
      // The text is valid only until the next row is read, and its names are looked up below.
      return (scan, scan.spans.isEmpty && scan.nbytes == nil ? [] : Array(text))
    }
    guard let (scan, text) = outcome else { return nil }
    func bytes<Name>(_ range: Range<Int>, _ name: (UnsafeBufferPointer<UInt8>) -> Name) -> Name {
      text.withUnsafeBufferPointer { name(UnsafeBufferPointer(rebasing: $0[range])) }
    }
    func name(_ range: Range<Int>) -> String { bytes(range, OutcomeScan.text) }
    if scan.nbytes != nil || hasFailed, time <= window.stop {
      tasks[task].nbytes = scan.nbytes ?? 0
    }
    if tasks[task].isSelected, let range = scan.typename, !text.isEmpty,
      let type = bytes(range, OutcomeScan.recordedText)
    {
      tasks[task].typename = Int32(typenames.index(type) + 1)
    }
    var worker = try workers.index(
      ofText: row.worker, at: row.seq, load: { try reader.text($0) })
    if worker == nil, let range = scan.worker, !text.isEmpty {
      worker = workers.index(name(range), at: row.seq)
    }
    guard let worker = worker ?? about else { return nil }
    runArgs.worker = String(worker)
    // This is the end that the worker itself did not record, unless the worker died of the task.
    // The end at another worker remains unknown.
    let isItsWorker = tasks[task].executingOn == Int32(worker)
    if isItsWorker, !(hasFailed && scan.spans.isEmpty) { tasks[task].executingOn = -1 }
    endExecuting(task, microseconds(row.time), hasFailed: isItsWorker)
    for span in scan.spans {
      let isCompute = text[span.action].elementsEqual("compute".utf8)
      let action = isCompute ? 0 : lanes.action(name(span.action))
      let offset =
        isCompute || !hasOwnClocks || !ClockOffsets.isByOwnClock(name(span.action))
        ? 0 : (workers[worker].clock?.offset ?? 0) / 1000
      let start = microseconds(span.start) + offset
      let stop = microseconds(span.stop) + offset
      runArgs.spans.append(
        WorkSpan(action: name(span.action), start: start, stop: stop, source: nil))
      firstTime = min(firstTime, start)
      lastTime = max(lastTime, stop)
      guard tasks[task].isSelected else { continue }
      let source = span.source.map { Int32(workers.index(name($0), at: row.seq)) } ?? -1
      addSpan(
        start, stop, task, action, hasFailed && isCompute ? .failed : .done, source,
        worker: worker, thread: scan.thread)
    }
    return worker
  }

  /// Adds the part of a span of work that is in the scope.
  mutating func addSpan(
    _ start: Int64, _ stop: Int64, _ task: Int, _ action: Int, _ outcome: LaneTable.Outcome,
    _ source: Int32 = -1, worker: Int, thread: Int64?
  ) {
    guard workers[worker].isIncluded, let part = window.part(start, max(start, stop)) else {
      return
    }
    selectedTimes.add(part.start)
    selectedTimes.add(part.stop)
    lanes.add(
      LaneTable.Span(
        start: part.start, stop: part.stop, task: task, action: action, outcome: outcome,
        source: source),
      worker: worker, thread: thread)
  }

  // MARK: - Results

  /// - Parameter nbytes: the size, if the event has it; else that of the last outcome.
  mutating func addReplica(_ task: Int, _ worker: Int32, _ time: Int64, nbytes: Int64? = nil) {
    if tasks[task].holder == worker || otherHolders[task]?.contains(worker) == true { return }
    if tasks[task].holder < 0 {
      tasks[task].holder = worker
      tasks[task].held = nbytes ?? tasks[task].nbytes
    } else {
      otherHolders[task, default: []].append(worker)
    }
    workers.change(worker, time, bytes: tasks[task].held)
  }

  mutating func release(_ task: Int, _ worker: Int32, _ time: Int64) {
    if tasks[task].holder == worker {
      tasks[task].holder = otherHolders[task]?.popLast() ?? -1
    } else if let index = otherHolders[task]?.firstIndex(of: worker) {
      otherHolders[task]?.remove(at: index)
    } else {
      return
    }
    if otherHolders[task]?.isEmpty == true { otherHolders[task] = nil }
    workers.change(worker, time, bytes: -tasks[task].held)
  }

  mutating func releaseAll(_ task: Int, _ time: Int64) {
    while tasks[task].holder >= 0 { release(task, tasks[task].holder, time) }
  }
}
