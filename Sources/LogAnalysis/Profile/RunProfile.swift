import EventLog
import LogFormat
import TaskLogPlugin

/// The statistical profile of a run's workers, see the option `profile` of a recorder.
package struct RunProfile: Sendable {
  /// By prefix; `nil` stands for prefixes that a worker did not tell apart.
  package var prefixes: [String?: StackProfile] = [:]
  /// The seconds between two samples.
  package var interval = 0.01
  /// The number of events that it is made of.
  package var eventCount: Int64 = 0
  /// The functions that workers omitted, as they had too many.
  package var omitted: Int64 = 0
  /// Workers that left before they had sent all: the number of seconds by which their profile ends before them.
  package var unsent: [(worker: String, seconds: Double)] = []

  package init() {}

  package var isEmpty: Bool { prefixes.values.allSatisfy { $0.samples == 0 } }

  /// All prefixes together.
  package var all: StackProfile {
    var all = StackProfile()
    for (_, profile) in sorted { all.add(profile) }
    return all
  }

  /// The prefixes with the most samples first.
  package var sorted: [(prefix: String?, profile: StackProfile)] {
    prefixes.map { ($0.key, $0.value) }.filter { $0.1.samples > 0 }.sorted {
      ($0.0 == nil ? 1 : 0, -$0.1.samples, $0.0 ?? "") < (
        $1.0 == nil ? 1 : 0, -$1.1.samples, $1.0 ?? ""
      )
    }
  }

  /// What is missing of it, in a sentence; `nil` if nothing is known to be.
  package var gap: String? {
    guard !unsent.isEmpty else { return nil }
    let seconds = unsent.reduce(0) { $0 + $1.seconds }
    let workers = unsent.count == 1 ? "1 worker" : "\(unsent.count) workers"
    return
      "\(workers) ended before the last \(Int64(saturating: seconds.rounded())) s of profile were sent: "
      + unsent.prefix(5).map(\.worker).joined(separator: ", ")
      + (unsent.count > 5 ? ", …" : "")
  }
}

extension LogReader {
  /// A profile that ends at most this number of seconds before its worker is whole.
  private static let tolerance = 1.0

  /// The profile of a run.
  ///
  /// - Parameter scope: the part of the run: its workers, the recordings that end in its time window,
  ///   and the prefixes of its tasks.
  /// - Throws: `LogError`.
  package func profile(of run: RunInfo, in scope: RunScope? = nil) throws -> RunProfile {
    try translating {
      let lives = try workerLives(of: run)
      let wanted = try scope.flatMap { $0.selectsTasks ? try prefixNames(in: $0) : nil }
      let select = try connection.prepare(
        """
        SELECT event.source, event.args FROM hook_event
        JOIN event ON event.seq = hook_event.seq
        WHERE hook_event.hook = (SELECT id FROM text WHERE text = 'profile')
          AND event.source IN (SELECT id FROM source WHERE run = ?)
        ORDER BY event.seq
        """)
      try select.bind(1, run.number)
      var profile = RunProfile()
      var ends: [Int: Double] = [:]
      while try select.step() {
        let worker = lives.place(ofSource: select.integer(0))
        guard scope?.includes(worker: worker) ?? true, var args = select.optionalText(1) else {
          continue
        }
        let recording = args.withUTF8 { ProfileRecording($0) }
        if let worker, let stop = recording.stop { ends[worker] = max(ends[worker] ?? 0, stop) }
        let time = recording.stop.flatMap { Int64(exactly: ($0 * 1e9).rounded()) }
        guard time.map({ scope?.window.contains($0) ?? true }) ?? true else { continue }
        profile.eventCount += 1
        if let wanted, !wanted.contains(recording.prefix ?? "") { continue }
        profile.add(recording)
      }
      guard profile.eventCount > 0 else { return profile }
      for (place, life) in lives.lives.enumerated() where scope?.includes(worker: place) ?? true {
        guard let gone = life.gone?.time else { continue }
        // It may have been there before the recorder.
        let start = max(life.joined ?? .min, run.started)
        let missing = Double(gone) / 1e9 - (ends[place] ?? Double(start) / 1e9)
        if missing > Self.tolerance { profile.unsent.append((lives.label(place), missing)) }
      }
      return profile
    }
  }

  /// The prefixes of the tasks of a scope.
  private func prefixNames(in scope: RunScope) throws -> Set<String> {
    let last = try connection.integer("SELECT coalesce(max(id), 0) FROM key") ?? 0
    var ids: Set<Int64> = []
    for page in 0...last >> 10 {
      try prefixes(ofKeys: page << 10..<(page + 1) << 10) { key, prefix in
        if scope.includes(task: key) { ids.insert(prefix) }
      }
    }
    return Set(try ids.compactMap { try texts.element($0) })
  }
}

extension RunProfile {
  fileprivate mutating func add(_ recording: ProfileRecording) {
    if let interval = recording.interval, interval > 0 { self.interval = interval }
    omitted &+= recording.omitted
    guard recording.samples > 0 else { return }
    var profile = prefixes[recording.prefix] ?? StackProfile()
    prefixes[recording.prefix] = nil
    profile.add(samples: recording.samples)
    var places: [Int] = []
    for node in recording.nodes {
      // A damaged log may have any numbers.
      guard recording.frames.indices.contains(node.frame), node.samples >= 0,
        node.caller == -1 || places.indices.contains(node.caller)
      else {
        places.append(-1)
        continue
      }
      places.append(
        profile.add(
          recording.frames[node.frame], calledBy: node.caller < 0 ? -1 : places[node.caller],
          samples: node.samples))
    }
    prefixes[recording.prefix] = profile
  }
}

/// The args of an event of the hook `profile`.
private struct ProfileRecording {
  var prefix: String?
  var stop: Double?
  var interval: Double?
  var samples: Int64 = 0
  var omitted: Int64 = 0
  var frames: [StackProfile.Frame] = []
  var nodes: [StackProfile.Node] = []

  init(_ json: UnsafeBufferPointer<UInt8>) {
    func text(_ range: Range<Int>) -> String {
      OutcomeScan.text(UnsafeBufferPointer(rebasing: json[range]))
    }
    var scanner = JSONScanner(json)
    scanner.members { name, scanner in
      if scanner.equals(name, "prefix") {
        prefix = scanner.string().map(text)
      } else if scanner.equals(name, "stop") {
        stop = scanner.number()
      } else if scanner.equals(name, "interval") {
        interval = scanner.number()
      } else if scanner.equals(name, "samples") {
        samples = scanner.integer() ?? 0
      } else if scanner.equals(name, "omitted") {
        omitted = scanner.integer() ?? 0
      } else if scanner.equals(name, "frames") {
        scanner.elements { scanner in
          var (parts, line): ([String], Int64) = ([], 0)
          scanner.elements { scanner in
            if let part = scanner.string() {
              parts.append(text(part))
            } else {
              line = scanner.integer() ?? 0
            }
          }
          frames.append(.init(parts.first ?? "", parts.count > 1 ? parts[1] : "", line))
        }
      } else if scanner.equals(name, "nodes") {
        var numbers: [Int64] = []
        scanner.elements { scanner in
          if let number = scanner.integer() { numbers.append(number) }
        }
        for start in stride(from: 0, to: numbers.count - 2, by: 3) {
          nodes.append(
            .init(
              caller: Int(clamping: numbers[start]), frame: Int(clamping: numbers[start + 1]),
              samples: numbers[start + 2]))
        }
      }
    }
  }
}
