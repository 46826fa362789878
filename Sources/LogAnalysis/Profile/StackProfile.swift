/// Samples of the stacks of threads, as a tree of functions: each node is a function with its callers.
package struct StackProfile: Sendable, Equatable {
  /// A function.
  package struct Frame: Hashable, Sendable {
    package var name: String
    package var file: String
    /// Where it begins.
    package var line: Int64

    package init(_ name: String, _ file: String, _ line: Int64) {
      (self.name, self.file, self.line) = (name, file, line)
    }
  }

  package struct Node: Hashable, Sendable {
    /// The index of the node that called it, which comes before it; -1 for none.
    package var caller: Int
    /// An index in `frames`.
    package var frame: Int
    /// In how many samples it was on the stack.
    package var samples: Int64
  }

  package private(set) var frames: [Frame] = []
  package private(set) var nodes: [Node] = []
  package private(set) var samples: Int64 = 0
  private var frameIndexes: [Frame: Int] = [:]
  private var nodeIndexes: [[Int]: Int] = [:]

  package init() {}

  /// Adds samples without a stack, or whose stack is added with `add(_:calledBy:samples:)`.
  package mutating func add(samples: Int64) { self.samples += samples }

  /// Adds samples in which a function was on the stack, and returns its node.
  @discardableResult
  package mutating func add(_ frame: Frame, calledBy caller: Int, samples: Int64) -> Int {
    let index: Int
    if let known = frameIndexes[frame] {
      index = known
    } else {
      index = frames.count
      frames.append(frame)
      frameIndexes[frame] = index
    }
    if let node = nodeIndexes[[caller, index]] {
      nodes[node].samples += samples
      return node
    }
    nodes.append(Node(caller: caller, frame: index, samples: samples))
    nodeIndexes[[caller, index]] = nodes.count - 1
    return nodes.count - 1
  }

  package mutating func add(_ other: Self) {
    add(samples: other.samples)
    var places: [Int] = []
    places.reserveCapacity(other.nodes.count)
    for node in other.nodes {
      places.append(
        add(
          other.frames[node.frame], calledBy: node.caller < 0 ? -1 : places[node.caller],
          samples: node.samples))
    }
  }

  /// By node: the samples in which it was at the end of the stack.
  package var ownSamples: [Int64] {
    var own = nodes.map(\.samples)
    for node in nodes where node.caller >= 0 { own[node.caller] -= node.samples }
    return own.map { max(0, $0) }
  }

  /// The samples of which no function is known.
  package var functionless: Int64 {
    max(0, nodes.reduce(samples) { $1.caller < 0 ? $0 - $1.samples : $0 })
  }

  /// The functions with the samples in which they were at the end of the stack, and on it at all. A
  /// function that calls itself counts once in a sample.
  package var functions: [(frame: Frame, own: Int64, all: Int64)] {
    let ownSamples = ownSamples
    var (own, all) = ([Int64](repeating: 0, count: frames.count), [Int64]())
    all = own
    for (index, node) in nodes.enumerated() {
      own[node.frame] += ownSamples[index]
      var caller = node.caller
      while caller >= 0, nodes[caller].frame != node.frame { caller = nodes[caller].caller }
      if caller < 0 { all[node.frame] += node.samples }
    }
    return frames.indices.map { (frames[$0], own[$0], all[$0]) }.sorted {
      ($1.own, $1.all, $0.frame.name, $0.frame.file, $0.frame.line) < (
        $0.own, $0.all, $1.frame.name, $1.frame.file, $1.frame.line
      )
    }
  }

  /// At most so many nodes, those with the most samples; the samples of others count for their callers.
  package func limited(to count: Int) -> (profile: Self, omitted: Int) {
    guard nodes.count > count else { return (self, 0) }
    // A caller has at least the samples of what it calls, and comes before it.
    let kept = Set(
      nodes.indices.sorted { (nodes[$1].samples, $0) < (nodes[$0].samples, $1) }.prefix(count))
    var profile = Self()
    profile.add(samples: samples)
    var places: [Int: Int] = [-1: -1]
    for (index, node) in nodes.enumerated() where kept.contains(index) {
      guard let caller = places[node.caller] else { continue }
      places[index] = profile.add(frames[node.frame], calledBy: caller, samples: node.samples)
    }
    return (profile, nodes.count - profile.nodes.count)
  }

  package static func == (one: Self, other: Self) -> Bool {
    one.samples == other.samples && one.frames == other.frames && one.nodes == other.nodes
  }
}
