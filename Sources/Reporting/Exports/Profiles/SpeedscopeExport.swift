import EventLog
import LogAnalysis

/// Writes the profile of runs for https://www.speedscope.app: for each run one of all prefixes, and one of
/// each.
///
/// The format is that of https://www.speedscope.app/file-format-schema.json.
struct SpeedscopeExport {
  private let sink: ByteSink
  private var frames: [StackProfile.Frame: Int] = [:]
  private var frameList: [StackProfile.Frame] = []
  private var profiles: [(name: String, profile: StackProfile, interval: Double)] = []

  init(_ sink: ByteSink) { self.sink = sink }

  /// - Parameter name: is put before the names of the profiles if there are several runs.
  mutating func add(
    _ reader: LogReader, _ run: RunInfo, _ scope: RunScope?, name: String,
    _ tally: inout ExportTally
  ) throws {
    let profile = try reader.profile(of: run, in: scope)
    tally.events += profile.eventCount
    if profile.isEmpty { tally.withoutProfile.append(run) }
    if let gap = profile.gap { tally.notes.append("run #\(run.number): \(gap)") }
    guard !profile.isEmpty else { return }
    profiles.append(("\(name)all", profile.all, profile.interval))
    for (prefix, part) in profile.sorted {
      profiles.append(("\(name)\(prefix ?? "(other)")", part, profile.interval))
    }
  }

  mutating func finish(version: String, _ tally: inout ExportTally) throws {
    var bytes: [UInt8] = []
    var parts: [[UInt8]] = []
    for (name, profile, interval) in profiles {
      tally.written.profiles += 1
      tally.written.rows += profile.nodes.count
      parts.append(encoded(name, profile, interval))
    }
    bytes.raw(#"{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"#)
    bytes.json("tasklog \(version)")
    bytes.raw(#","activeProfileIndex":0,"shared":{"frames":["#)
    for (index, frame) in frameList.enumerated() {
      if index > 0 { bytes.raw(",") }
      bytes.raw(#"{"name":"#)
      bytes.json(frame.name)
      bytes.raw(#","file":"#)
      bytes.json(frame.file)
      if frame.line > 0 {
        bytes.raw(#","line":"#)
        bytes.json(frame.line)
      }
      bytes.raw("}")
    }
    bytes.raw(#"]},"profiles":["#)
    sink.bytes += bytes
    for (index, part) in parts.enumerated() {
      if index > 0 { sink.write(",") }
      sink.bytes += part
      try sink.flushIfLarge()
    }
    sink.write("]}\n")
    try sink.flush()
  }

  /// Each stack once, the stacks of one function after each other, with its time as weight.
  private mutating func encoded(
    _ name: String, _ profile: StackProfile, _ interval: Double
  ) -> [UInt8] {
    var callees: [[Int]] = Array(repeating: [], count: profile.nodes.count)
    var roots: [Int] = []
    for (index, node) in profile.nodes.enumerated() {
      if node.caller < 0 { roots.append(index) } else { callees[node.caller].append(index) }
    }
    let own = profile.ownSamples
    let inStacks = own.reduce(0, &+)
    var (samples, weights): ([UInt8], [UInt8]) = ([], [])
    func add(_ stack: [Int], _ count: Int64) {
      if !samples.isEmpty {
        samples.raw(",")
        weights.raw(",")
      }
      samples.raw("[")
      for (index, frame) in stack.enumerated() {
        if index > 0 { samples.raw(",") }
        samples.json(Int64(frame))
      }
      samples.raw("]")
      weights += Array("\(Double(count) * interval)".utf8)
    }
    // Without recursion: a damaged log may have any depth.
    var (stack, open): ([Int], [(node: Int, depth: Int)]) = (
      [], roots.reversed().map { ($0, 0) }
    )
    while let (node, depth) = open.popLast() {
      stack.removeLast(stack.count - depth)
      stack.append(index(of: profile.frames[profile.nodes[node].frame]))
      if own[node] > 0 { add(stack, own[node]) }
      open += callees[node].reversed().map { ($0, depth + 1) }
    }
    // Samples without a stack.
    if profile.samples > inStacks { add([], profile.samples - inStacks) }
    var bytes: [UInt8] = []
    bytes.raw(#"{"type":"sampled","name":"#)
    bytes.json(name)
    bytes.raw(#","unit":"seconds","startValue":0,"endValue":"#)
    bytes += Array("\(Double(max(profile.samples, inStacks)) * interval)".utf8)
    bytes.raw(#","samples":["#)
    bytes += samples
    bytes.raw(#"],"weights":["#)
    bytes += weights
    bytes.raw("]}")
    return bytes
  }

  private mutating func index(of frame: StackProfile.Frame) -> Int {
    if let index = frames[frame] { return index }
    frames[frame] = frameList.count
    frameList.append(frame)
    return frameList.count - 1
  }
}
