import EventLog
import LogAnalysis
import TaskLogPlugin

/// The scheduler and the workers of a run as processes, with tracks that are created on demand.
struct TraceProcesses {
  /// The sections of a process, in display order.
  enum Section: Int32, Hashable {
    case life = 1
    case graphs, failures, gaps, tasks, occupancy, bytes, threads, others, resources
  }

  /// The key of a set of lanes, for slices that may overlap.
  private struct Pool: Hashable {
    var process: Int32
    var section: Section
    /// The thread, or the action.
    var thread: Int64?
    var action = ""
  }

  private var lastID: Int32
  private let prefix: String
  private var byAddress: [String: TraceProcess] = [:]
  private var names: [String: String] = [:]
  private var pools: [Pool: Lanes<TraceTrack>] = [:]
  private var threadCounts: [Int32: Int] = [:]
  private var singleTracks: [Pool: TraceTrack] = [:]

  /// - Parameters:
  ///   - prefix: the prefix of process names.
  ///   - after: the last ID used by another run.
  ///   - label: returns the label of a source.
  init(
    prefix: String, after lastID: Int32, sources: [SourceInfo], label: (SourceInfo) -> String
  ) {
    self.prefix = prefix
    self.lastID = lastID
    for source in sources {
      names[label(source)] =
        source.source.kind == .scheduler
        ? "scheduler" : Self.name(source.source.name, source.source.address)
    }
  }

  var last: Int32 { lastID }

  private static func name(_ name: Value, _ address: String) -> String {
    switch name {
    case .string(let name) where name != address: "worker \(name)"
    case .int(let number): "worker \(number)"
    default: "worker"
    }
  }

  private mutating func nextID() -> Int32 {
    lastID &+= 1
    return lastID
  }

  /// The process at an address.
  ///
  /// - Parameter name: the name of a joining worker that is not a source.
  mutating func process(
    _ address: String, name: Value = .null, _ writer: inout some TraceWriter
  ) -> TraceProcess {
    if let process = byAddress[address] { return process }
    let process = TraceProcess(
      id: nextID(), name: prefix + (names[address] ?? Self.name(name, address)), label: address)
    byAddress[address] = process
    writer.add(process)
    return process
  }

  /// The single track of a section, or of a name in it.
  mutating func track(
    _ section: Section, _ name: String, kind: TraceTrack.Kind = .lane, of address: String,
    _ writer: inout some TraceWriter
  ) -> TraceTrack {
    let process = process(address, &writer)
    let pool = Pool(process: process.id, section: section, action: name)
    if let track = singleTracks[pool] { return track }
    let track = TraceTrack(
      id: nextID(), process: process.id, name: name, kind: kind, rank: section.rawValue * 1000)
    singleTracks[pool] = track
    writer.add(track)
    return track
  }

  /// The track for a span of work: compute spans are on their thread, others on lanes of their
  /// action.
  mutating func track(
    for span: WorkSpan, thread: Int64?, of address: String, _ writer: inout some TraceWriter
  ) -> TraceTrack {
    let process = process(address, &writer)
    let isCompute = span.action == "compute"
    let pool =
      isCompute
      ? Pool(process: process.id, section: .threads, thread: thread)
      : Pool(process: process.id, section: .others, action: span.action)
    var name = span.action
    if isCompute {
      name = "unknown thread"
      if let thread {
        if pools[pool] == nil { threadCounts[process.id, default: 0] += 1 }
        name = "thread \(threadCounts[process.id] ?? 0) (\(thread))"
      }
    }
    var newTrack: TraceTrack?
    // The ID is assigned here, because the closure cannot mutate `self`.
    let id = lastID &+ 1
    let rank = pool.section.rawValue * 1000 + Int32(clamping: threadCounts[process.id] ?? 0)
    let track = pools[pool, default: Lanes()].track(from: span.start, to: span.stop) { count in
      let track = TraceTrack(
        id: id, process: process.id, name: count == 0 ? name : "\(name), lane \(count + 1)",
        kind: isCompute && thread != nil && count == 0 ? .thread : .lane, rank: rank)
      newTrack = track
      return track
    }
    if let newTrack {
      lastID = id
      writer.add(newTrack)
    }
    return track
  }
}
