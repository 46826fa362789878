import CSupport
import Recording
import Synchronization
import TaskLogPlugin

/// A recorder and its sources, by number.
final class OpenRecorder: Sendable {
  let recorder: Recorder
  private let channels = Mutex(Channels())

  private struct Channels {
    var all: [EncodedChannel] = []
    /// By the bytes of the server's id, of which a run can have one source only.
    var numbers: [[UInt8]: Int32] = [:]
  }

  init(_ recorder: Recorder) {
    self.recorder = recorder
  }

  /// The number of a source; one whose server is known already keeps its number.
  func add(_ source: Source) -> Int32? {
    let id = Array(source.id.utf8)
    return channels.withLock { channels in
      if let number = channels.numbers[id] { return number }
      guard let number = Int32(exactly: channels.all.count),
        let channel = recorder.encodedChannel(for: source)
      else { return nil }
      channels.all.append(channel)
      channels.numbers[id] = number
      return number
    }
  }

  subscript(source: Int32) -> EncodedChannel? {
    channels.withLock { channels in
      channels.all.indices.contains(Int(source)) ? channels.all[Int(source)] : nil
    }
  }
}

/// The open recorders of this process by their number.
///
/// In the child of a fork there is a fresh table: a lock of the parent's may be held by a thread that
/// is not there, and the parent's recorders are not the child's to use.
final class Recorders: Sendable {
  private struct Table {
    var open: [Int64: OpenRecorder] = [:]
    var last: Int64 = 0
  }

  /// The channel that was used last: most events come from one source after the other.
  private struct Recent {
    var recorder: Int64 = 0
    var source: Int32 = 0
    var channel: EncodedChannel?
  }

  private let generation: UInt64
  private let table = Mutex(Table())
  private let recent = Mutex(Recent())
  private let error = Mutex("")

  private init(generation: UInt64) {
    self.generation = generation
  }

  /// Holds the address of the table, which is never freed.
  nonisolated(unsafe) private static let word: UnsafeMutablePointer<UInt64> = {
    let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    word.initialize(to: address(of: Recorders(generation: tl_generation())))
    return word
  }()

  private static func address(of recorders: Recorders) -> UInt64 {
    UInt64(UInt(bitPattern: Unmanaged.passRetained(recorders).toOpaque()))
  }

  /// The table of this process. After a fork there is one thread, which makes it anew.
  static var current: Recorders {
    let seen = tl_load_acquire(word)
    // The word always holds the address of a retained table.
    if let pointer = UnsafeRawPointer(bitPattern: UInt(seen)) {
      let recorders = Unmanaged<Recorders>.fromOpaque(pointer).takeUnretainedValue()
      if recorders.generation == tl_generation() { return recorders }
    }
    let fresh = Recorders(generation: tl_generation())
    tl_store_release(word, address(of: fresh))
    return fresh
  }

  func add(_ recorder: OpenRecorder) -> Int64 {
    table.withLock { table in
      table.last += 1
      table.open[table.last] = recorder
      return table.last
    }
  }

  subscript(number: Int64) -> OpenRecorder? {
    table.withLock { $0.open[number] }
  }

  /// Where the events of a source go.
  func channel(_ number: Int64, _ source: Int32) -> EncodedChannel? {
    recent.withLock { recent in
      if recent.recorder == number, recent.source == source { return recent.channel }
      guard let channel = self[number]?[source] else { return nil }
      recent = Recent(recorder: number, source: source, channel: channel)
      return channel
    }
  }

  func remove(_ number: Int64) -> OpenRecorder? {
    let removed = table.withLock { $0.open.removeValue(forKey: number) }
    recent.withLock { if $0.recorder == number { $0 = Recent() } }
    return removed
  }

  /// Why the last call that failed did.
  var lastError: String { error.withLock { $0 } }

  static func note(_ message: String) {
    current.error.withLock { $0 = message }
  }

  static func fail(_ answer: Int32, _ message: String) -> Int32 {
    note(message)
    return answer
  }
}
