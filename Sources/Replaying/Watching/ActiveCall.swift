import EventLog
import Glibc
import TaskLogPlugin

/// What plugin is being called with what event, where another process can see it.
///
/// A plugin of the user's may trap or never come back. The process that replays cannot tell of it,
/// but one that watches it can, if the place of the present call is in memory that both have. The
/// cost for each call is a few stores; nobody has to be watching.
///
/// The memory is a file: at its beginning words of 64 bits, behind them the names of plugins, each
/// written once and known by where it lies.
public final class ActiveCall {
  /// What a call is about, when it is not one of a hook.
  public enum Step: Int, Sendable, CaseIterable {
    case loading, initializing, starting, settingUp, reporting, checkpointing, restoring

    var word: UInt64 { UInt64(Hook.known.count + 1 + rawValue) }
  }

  /// Places of the words.
  private enum Word {
    /// How many calls there were, to see whether one goes on.
    static let count = 0
    /// Where the name of the plugin lies; 0 between calls.
    static let plugin = 1
    static let step = 2
    /// Number of the event in the log; 0 without one.
    static let seq = 3
  }

  /// How long the file has to be at first.
  public static let size = 4096

  private let words: UnsafeMutablePointer<UInt64>
  private let descriptor: Int32?
  private var firstFree = UInt64(size)
  private var names: [String: UInt64] = [:]

  /// One that nobody sees.
  public init() {
    words = .allocate(capacity: Self.size / 8)
    words.initialize(repeating: 0, count: Self.size / 8)
    descriptor = nil
  }

  /// One that whoever has the same file can see; nothing when it is no such file.
  ///
  /// - Parameter descriptor: a file that is at least a page long, open for reading and writing. It
  ///   stays open.
  public init?(descriptor: Int32) {
    let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let memory, memory != MAP_FAILED else { return nil }
    words = memory.bindMemory(to: UInt64.self, capacity: Self.size / 8)
    self.descriptor = descriptor
  }

  deinit {
    if descriptor != nil { munmap(words, Self.size) } else { words.deallocate() }
  }

  // MARK: - Who replays

  /// The word for a plugin.
  public func label(_ plugin: String) -> UInt64 {
    guard let descriptor else { return 1 }
    if let word = names[plugin] { return word }
    let bytes = Array(plugin.utf8.prefix(1000)) + [0]
    let word = firstFree
    guard pwrite(descriptor, bytes, bytes.count, off_t(word)) == bytes.count else { return word }
    firstFree += UInt64(bytes.count)
    names[plugin] = word
    return word
  }

  /// A hook is about to be called.
  @inline(__always)
  func begin(_ label: UInt64, _ hook: Hook, seq: Int64) {
    begin(label, hook.word, seq)
  }

  /// Something else of a plugin is about to be called.
  public func begin(_ label: UInt64, _ step: Step, seq: Int64 = 0) {
    begin(label, step.word, seq)
  }

  @inline(__always)
  private func begin(_ label: UInt64, _ step: UInt64, _ seq: Int64) {
    words[Word.step] = step
    words[Word.seq] = UInt64(bitPattern: seq)
    words[Word.plugin] = label
    words[Word.count] &+= 1
  }

  /// It has come back.
  @inline(__always)
  public func end() {
    words[Word.plugin] = 0
  }

  // MARK: - Who watches

  /// A call that is going on.
  public struct Call: Sendable, Equatable {
    public var plugin: String
    /// The hook, or what else is done with the plugin.
    public var what: String
    /// Number of the event in the log; nothing without one.
    public var seq: Int64?
    /// How many calls there were before.
    public var number: UInt64
  }

  /// How many calls there were, and whether the last of them goes on.
  public var progress: (calls: UInt64, isInside: Bool) {
    (words[Word.count], words[Word.plugin] != 0)
  }

  /// The present call; nothing between two calls.
  public var call: Call? {
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
  /// The place among the known ones; one behind them for all others.
  fileprivate var word: UInt64 { UInt64(place ?? Hook.known.count) }
}
