import CSupport
import Recording
import Synchronization
import TaskLogPlugin

/// A recorder and its sources, by index.
final class OpenRecorder: Sendable {
  let recorder: Recorder
  private let channels = Mutex(Channels())

  private struct Channels {
    var all: [EncodedChannel] = []
    /// By the bytes of the server's id, of which a run has at most one source.
    var indexes: [[UInt8]: Int32] = [:]
  }

  init(_ recorder: Recorder) {
    self.recorder = recorder
  }

  /// Adds a source and returns its index; a source whose server is known keeps its index.
  func add(_ source: Source) -> Int32? {
    let id = Array(source.id.utf8)
    return channels.withLock { channels in
      if let index = channels.indexes[id] { return index }
      guard let index = Int32(exactly: channels.all.count),
        let channel = recorder.encodedChannel(for: source)
      else { return nil }
      channels.all.append(channel)
      channels.indexes[id] = index
      return index
    }
  }

  subscript(source: Int32) -> EncodedChannel? {
    channels.withLock { channels in
      channels.all.indices.contains(Int(source)) ? channels.all[Int(source)] : nil
    }
  }
}

/// The open recorders of this process, by handle.
///
/// A forked child gets a fresh table: a lock of the parent's may be held by a thread that the child
/// does not have, and the child must not use the parent's recorders.
final class Recorders: Sendable {
  private struct Table {
    var open: [Int64: OpenRecorder] = [:]
    var last: Int64 = 0
  }

  /// The last used channel: events usually come in sequences from one source.
  private struct Recent {
    var recorder: Int64 = 0
    var source: Int32 = 0
    var channel: EncodedChannel?
  }

  private let generation: UInt64
  private let table = Mutex(Table())
  private let recent = Mutex(Recent())

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

  /// The table of this process. A forked child, which has one thread, creates its own.
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

  subscript(handle: Int64) -> OpenRecorder? {
    table.withLock { $0.open[handle] }
  }

  /// The channel of a source; `nil` if there is none.
  func channel(_ handle: Int64, _ source: Int32) -> EncodedChannel? {
    recent.withLock { recent in
      if recent.recorder == handle, recent.source == source { return recent.channel }
      guard let channel = self[handle]?[source] else { return nil }
      recent = Recent(recorder: handle, source: source, channel: channel)
      return channel
    }
  }

  func remove(_ handle: Int64) -> OpenRecorder? {
    let removed = table.withLock { $0.open.removeValue(forKey: handle) }
    recent.withLock { if $0.recorder == handle { $0 = Recent() } }
    return removed
  }

  /// The message of the last failed call of this thread.
  static var lastError: String { String(cString: tl_thread_text()) }

  static func setError(_ message: String) { tl_set_thread_text(message) }

  static func fail(_ status: Int32, _ message: String) -> Int32 {
    setError(message)
    return status
  }
}
