import LogAnalysis
import LogFormat
import TaskLogPlugin

/// The IDs of a run's spans: hashes of the run, graph or attempt, never 0.
struct SpanIDs {
  private let hash: UInt64
  /// In hexadecimal.
  let trace: String
  let run: UInt64

  init(run id: String) {
    hash = KeyHash.hash(of: Key(id))
    run = Self.id(hash &+ 1)
    trace = Self.id(hash &+ 2).hexadecimal + Self.id(hash &+ 3).hexadecimal
  }

  func graph(_ sourceSeq: Int64) -> UInt64 {
    Self.id(Self.id(hash &+ 4) &+ UInt64(bitPattern: sourceSeq))
  }

  /// - Parameter key: the hash of the key.
  func attempt(_ key: UInt64, _ number: Int32) -> UInt64 {
    Self.id(key ^ Self.id(hash &+ 5) &+ UInt64(bitPattern: Int64(number)))
  }

  private static func id(_ value: UInt64) -> UInt64 { max(1, KeyHash.mixed(value)) }
}
