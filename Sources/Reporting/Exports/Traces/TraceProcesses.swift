import EventLog
import TaskLogPlugin

/// The scheduler and the workers of a run, each with its tracks, which are made when they are needed.
struct TraceProcesses {
  /// Tracks in the order in which a process shows them.
  enum Section: Int32, Hashable {
    case life = 1
    case graphs, failures, gaps, tasks, occupancy, bytes, threads, others
  }

  /// Where slices go of which several may overlap.
  private struct Pool: Hashable {
    var process: Int32
    var section: Section
    /// A thread's number, or a kind of work.
    var thread: Int64?
    var action = ""
  }

  private var lastID: Int32
  private let prefix: String
  private var byAddress: [String: TraceProcess] = [:]
  private var names: [String: String] = [:]
  private var pools: [Pool: Lanes<TraceTrack>] = [:]
  private var threadCounts: [Int32: Int] = [:]
  private var single: [Pool: TraceTrack] = [:]

  /// - Parameters:
  ///   - prefix: what the names of processes begin with.
  ///   - after: the last number that another run has used.
  ///   - label: what each source is called.
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
  /// - Parameter name: of a worker that is no source itself, as it joins.
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

  /// The one track of a section, or of a name in it.
  mutating func track(
    _ section: Section, _ name: String, kind: TraceTrack.Kind = .lane, of address: String,
    _ writer: inout some TraceWriter
  ) -> TraceTrack {
    let process = process(address, &writer)
    let pool = Pool(process: process.id, section: section, action: name)
    if let track = single[pool] { return track }
    let track = TraceTrack(
      id: nextID(), process: process.id, name: name, kind: kind, rank: section.rawValue * 1000)
    single[pool] = track
    writer.add(track)
    return track
  }

  /// The track for a span of work: computing lies on its thread, all else on lanes of its kind.
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
    var made: TraceTrack?
    // Numbers are given out here, since the closure cannot.
    let id = lastID &+ 1
    let rank = pool.section.rawValue * 1000 + Int32(clamping: threadCounts[process.id] ?? 0)
    let track = pools[pool, default: Lanes()].track(from: span.start, to: span.stop) { count in
      let track = TraceTrack(
        id: id, process: process.id, name: count == 0 ? name : "\(name), lane \(count + 1)",
        kind: isCompute && thread != nil && count == 0 ? .thread : .lane, rank: rank)
      made = track
      return track
    }
    if let made {
      lastID = id
      writer.add(made)
    }
    return track
  }
}
