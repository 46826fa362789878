import EventLog
import Glibc
import TaskLogPlugin

/// Publishes which plugin is being called with which event, readable by another process.
///
/// A user's plugin may trap or never return. The replaying process cannot report that, but a
/// process that watches it can, if the current call is recorded in shared memory. The cost per call
/// is a few stores; watching is optional.
///
/// The memory is a file: it starts with words of 64 bits, followed by the names of plugins, each
/// written once and identified by its offset.
package final class ActiveCall {
  /// The kind of a call that is not a call of a hook.
  package enum Step: Int, Sendable, CaseIterable {
    case loading, initializing, starting, settingUp, reporting, checkpointing, restoring

    var word: UInt64 { UInt64(Hook.known.count + 1 + rawValue) }
  }

  /// Indexes of the words.
  private enum Word {
    /// The number of calls, to detect progress.
    static let count = 0
    /// The offset of the plugin's name; 0 between calls.
    static let plugin = 1
    static let step = 2
    /// The seq of the event; 0 if there is none.
    static let seq = 3
  }

  /// The minimum initial size of the file in bytes.
  package static let size = 4096

  private let words: UnsafeMutablePointer<UInt64>
  private let descriptor: Int32?
  private var firstFree = UInt64(size)
  private var names: [String: UInt64] = [:]

  /// Creates an instance in private memory.
  package init() {
    words = .allocate(capacity: Self.size / 8)
    words.initialize(repeating: 0, count: Self.size / 8)
    descriptor = nil
  }

  /// Creates an instance in a file shared with a watcher; `nil` if the file cannot be mapped.
  ///
  /// - Parameter descriptor: a file that is at least a page long, open for reading and writing. It
  ///   stays open.
  package init?(descriptor: Int32) {
    let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let memory, memory != MAP_FAILED else { return nil }
    words = memory.bindMemory(to: UInt64.self, capacity: Self.size / 8)
    self.descriptor = descriptor
  }

  deinit {
    if descriptor != nil { munmap(words, Self.size) } else { words.deallocate() }
  }

  // MARK: - Replaying process

  /// Returns the word that identifies a plugin.
  package func label(_ plugin: String) -> UInt64 {
    guard let descriptor else { return 1 }
    if let word = names[plugin] { return word }
    let bytes = Array(plugin.utf8.prefix(1000)) + [0]
    let word = firstFree
    guard pwrite(descriptor, bytes, bytes.count, off_t(word)) == bytes.count else { return word }
    firstFree += UInt64(bytes.count)
    names[plugin] = word
    return word
  }

  /// Records that a hook is about to be called.
  @inline(__always)
  func begin(_ label: UInt64, _ hook: Hook, seq: Int64) {
    begin(label, hook.word, seq)
  }

  /// Records that another call of a plugin is about to start.
  package func begin(_ label: UInt64, _ step: Step, seq: Int64 = 0) {
    begin(label, step.word, seq)
  }

  @inline(__always)
  private func begin(_ label: UInt64, _ step: UInt64, _ seq: Int64) {
    words[Word.step] = step
    words[Word.seq] = UInt64(bitPattern: seq)
    words[Word.plugin] = label
    words[Word.count] &+= 1
  }

  /// Records that the call has returned.
  @inline(__always)
  package func end() {
    words[Word.plugin] = 0
  }

  // MARK: - Watching process

  /// A call in progress.
  package struct Call: Sendable, Equatable {
    package var plugin: String
    /// The hook, or the name of the step.
    package var what: String
    /// The seq of the event; `nil` if there is none.
    package var seq: Int64?
    /// The number of this call.
    package var number: UInt64
  }

  /// The number of calls, and whether the last is in progress.
  package var progress: (calls: UInt64, isInside: Bool) {
    (words[Word.count], words[Word.plugin] != 0)
  }

  /// The current call; `nil` between calls.
  package var call: Call? {
    let label = words[Word.plugin]
    guard label != 0, let descriptor else { return nil }
    var bytes = [UInt8](repeating: 0, count: 1001)
    let count = pread(descriptor, &bytes, bytes.count, off_t(clamping: label))
    let name = bytes.prefix(max(0, count)).prefix { $0 != 0 }
    let step = Int(clamping: words[Word.step])
    let seq = Int64(bitPattern: words[Word.seq])
    return Call(
      plugin: String(decoding: name, as: UTF8.self), what: Self.name(ofStep: step),
      seq: seq == 0 ? nil : seq, number: words[Word.count])
  }

  private static func name(ofStep step: Int) -> String {
    if step >= 0, step < Hook.known.count { return Hook.known[step].name }
    switch Step(rawValue: step - Hook.known.count - 1) {
    case .loading: return "its loading"
    case .initializing: return "its initializer"
    case .starting: return "start"
    case .settingUp: return "setup"
    case .reporting: return "report"
    case .checkpointing: return "checkpoint"
    case .restoring: return "restore"
    case nil: return "a hook"
    }
  }
}

extension Hook {
  /// The index among the known hooks; one after the last for all others.
  fileprivate var word: UInt64 { UInt64(place ?? Hook.known.count) }
}
