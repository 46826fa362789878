import TestSupport
import Testing

@testable import LogAnalysis

/// Trees of sampled stacks, on literals.
@Suite struct StackProfileTests {
  private typealias Frame = StackProfile.Frame

  private static func frame(_ name: String) -> Frame { Frame(name, "\(name).py", 1) }

  /// Stacks as `a>b>c` with the number of samples at their end.
  private static func profile(_ stacks: [String: Int64]) -> StackProfile {
    var profile = StackProfile()
    for (stack, count) in stacks.sorted(by: { $0.key < $1.key }) {
      profile.add(samples: count)
      var caller = -1
      for name in stack.split(separator: ">") {
        caller = profile.add(frame(String(name)), calledBy: caller, samples: count)
      }
    }
    return profile
  }

  /// The stacks with the samples at their end.
  private static func stacks(_ profile: StackProfile) -> [String: Int64] {
    var (names, found): ([String], [String: Int64]) = ([], [:])
    for (node, own) in zip(profile.nodes, profile.ownSamples) {
      let name = profile.frames[node.frame].name
      names.append(node.caller < 0 ? name : names[node.caller] + ">" + name)
      if own > 0 { found[names[names.count - 1], default: 0] += own }
    }
    return found
  }

  @Test func `the same stacks are one node, and each sample counts once at the end of its stack`() {
    let stacks: [String: Int64] = ["a": 1, "a>b": 2, "a>b>c": 3, "d>b": 4]
    let profile = Self.profile(stacks)
    #expect(Self.stacks(profile) == stacks)
    #expect(profile.samples == 10 && profile.nodes.count == 5 && profile.frames.count == 4)
    #expect(profile.ownSamples.reduce(0, +) == 10)
  }

  @Test func `a sample without a function is counted, too`() {
    let profile = Self.profile(["": 2, "a>b": 3, "c": 1])
    #expect(profile.functionless == 2 && profile.samples == 6)
    #expect(profile.functionless + profile.functions.reduce(0) { $0 + $1.own } == profile.samples)
  }

  @Test func `profiles are added stack by stack`() {
    var sum = Self.profile(["a>b": 2, "a": 1])
    sum.add(Self.profile(["a>b": 3, "c>a": 5]))
    #expect(Self.stacks(sum) == ["a>b": 5, "a": 1, "c>a": 5])
    #expect(sum.samples == 11)
  }

  @Test func `a function that calls itself counts once in a sample`() {
    let functions = Self.profile(["a>b>a": 2, "a": 1, "b>a": 4]).functions
    #expect(functions.map(\.frame.name) == ["a", "b"])
    #expect(functions.map(\.own) == [7, 0])
    #expect(functions.map(\.all) == [7, 6])
  }

  @Test func `a limited profile has the nodes with the most samples, and callers get the rest`() {
    var stacks: [String: Int64] = ["a>b": 100]
    for index in 0..<50 { stacks["a>c\(index)"] = 1 }
    let (limited, omitted) = Self.profile(stacks).limited(to: 2)
    #expect(omitted == 50)
    #expect(Self.stacks(limited) == ["a>b": 100, "a": 50])
    #expect(limited.samples == 150)
    let whole = Self.profile(stacks)
    #expect(whole.limited(to: 52).omitted == 0)
    #expect(whole.limited(to: 52).profile == whole)
  }

  @Test func `random profiles that are added and limited lose no sample`() {
    var random = Randomness.generator(0x22)
    for _ in 0..<100 {
      var (sum, expected): (StackProfile, [String: Int64]) = (StackProfile(), [:])
      for _ in 0..<3 {
        var stacks: [String: Int64] = [:]
        for _ in 0..<random.below(20) {
          let stack = (0...random.below(5)).map { _ in "f\(random.below(4))" }
          stacks[stack.joined(separator: ">")] = Int64(1 + random.below(9))
        }
        for (stack, count) in stacks { expected[stack, default: 0] += count }
        sum.add(Self.profile(stacks))
      }
      #expect(Self.stacks(sum) == expected)
      let all = expected.values.reduce(0, +)
      #expect(sum.functions.reduce(0) { $0 + $1.own } == all)
      for (index, name) in (0..<4).map({ ($0, "f\($0)") }) {
        let own = expected.filter { $0.key.split(separator: ">").contains(Substring(name)) }
        let found = sum.functions.first { $0.frame.name == name }?.all ?? 0
        #expect(found == own.values.reduce(0, +), "\(index)")
      }
      let limit = 1 + random.below(10)
      let limited = sum.limited(to: limit).profile
      #expect(limited.samples == all && limited.nodes.count <= limit)
      let roots = limited.nodes.filter { $0.caller < 0 }.reduce(0) { $0 + $1.samples }
      #expect(limited.ownSamples.reduce(0, +) == roots)
    }
  }
}
