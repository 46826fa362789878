import EventLog
import LogAnalysis
import TaskLogPlugin

/// The statistical profile of the runs, for the page.
struct ProfileTable {
  /// What limits the size of a page: nodes of all prefixes together, and of each.
  private static let mostNodes = 20_000
  private static let leastNodes = 200
  private static let mostPrefixes = 100

  private var prefixes: [String?: StackProfile] = [:]
  private var interval = 0.01
  private var omitted: Int64 = 0
  private var gaps: [String] = []

  mutating func add(_ run: RunInfo, _ scan: PageScan) throws {
    let profile = try scan.reader.profile(of: run, in: scan.scopes[run])
    guard !profile.isEmpty else { return }
    for (prefix, part) in profile.prefixes {
      prefixes[prefix, default: StackProfile()].add(part)
    }
    interval = profile.interval
    omitted &+= profile.omitted
    if let gap = profile.gap { gaps.append("Run #\(run.number): \(gap).") }
  }

  /// `null` without a profile. The first part is of all prefixes.
  var document: Value {
    var run = RunProfile()
    run.prefixes = prefixes
    let sorted = run.sorted
    guard !sorted.isEmpty else { return .null }
    var frames: [StackProfile.Frame: Int64] = [:]
    var names: [Value] = []
    var omitted = omitted
    func encoded(_ prefix: String?, _ whole: StackProfile, _ most: Int) -> Value {
      let (profile, count) = whole.limited(to: most)
      omitted &+= Int64(count)
      var nodes: [Value] = []
      for node in profile.nodes {
        let frame = profile.frames[node.frame]
        if frames[frame] == nil {
          frames[frame] = Int64(names.count)
          names.append(.list([.string(frame.name), .string(frame.file), .int(frame.line)]))
        }
        nodes += [
          .int(Int64(node.caller)), .int(frames[frame] ?? 0), .int(node.samples),
        ]
      }
      return .object([
        "prefix": prefix.map(Value.string) ?? .null, "samples": .int(profile.samples),
        "nodes": .list(nodes),
      ])
    }
    let shown = sorted.prefix(Self.mostPrefixes)
    let each = max(Self.leastNodes, Self.mostNodes / 2 / shown.count)
    let parts =
      [encoded(nil, run.all, Self.mostNodes / 2)]
      + shown.map { encoded($0.prefix, $0.profile, each) }
    if sorted.count > shown.count {
      return document(
        parts, names, omitted,
        gaps + ["\(sorted.count - shown.count) prefixes with few samples are only in all together."]
      )
    }
    return document(parts, names, omitted, gaps)
  }

  private func document(
    _ parts: [Value], _ frames: [Value], _ omitted: Int64, _ gaps: [String]
  ) -> Value {
    .object([
      "interval": .double(interval), "gaps": .list(gaps.map(Value.string)),
      "omitted": .int(omitted), "frames": .list(frames), "parts": .list(parts),
    ])
  }
}
