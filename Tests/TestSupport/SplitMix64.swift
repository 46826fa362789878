import Foundation

/// A small random generator that gives the same numbers on every machine.
package struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  package mutating func below(_ limit: Int) -> Int {
    Int.random(in: 0..<limit, using: &self)
  }

  /// True with a probability of one in `times`.
  package mutating func once(in times: Int) -> Bool {
    below(times) == 0
  }

  package mutating func pick<T>(_ choices: [T]) -> T {
    choices[below(choices.count)]
  }
}

/// The parameters of the random tests: `TASKLOG_TEST_SEED` and `TASKLOG_TEST_COUNT`.
package enum Randomness {
  package static let seed: UInt64 = read("TASKLOG_TEST_SEED").flatMap { UInt64($0) } ?? 20_260_801
  package static let count: Int = read("TASKLOG_TEST_COUNT").flatMap { Int($0) } ?? 2_000

  /// A separate generator for each test, so that one test does not shift the other's numbers.
  package static func generator(_ salt: UInt64 = 0) -> SplitMix64 {
    SplitMix64(seed: seed &+ salt &* 0xD134_2543_DE82_EF95)
  }

  /// A number from the environment.
  package static func setting(_ name: String, default value: Int) -> Int {
    read(name).flatMap { Int($0) } ?? value
  }

  private static func read(_ name: String) -> String? {
    ProcessInfo.processInfo.environment[name]
  }
}
