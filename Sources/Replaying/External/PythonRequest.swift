import Glibc

/// The Python plugins to replay, and their settings.
public struct PythonRequest: Sendable {
  public struct Plugin: Sendable {
    /// `module:Class` or `file.py:Class`.
    public var name: String
    /// The options passed to its initializer.
    public var options: [String: String]

    public init(name: String, options: [String: String]) {
      self.name = name
      self.options = options
    }
  }

  /// An attribute to print at the end.
  public struct ResultPath: Sendable {
    public var plugin: String
    /// `counter`, or `tally.count` for an attribute of an attribute.
    public var path: String

    public init(plugin: String, path: String) {
      self.plugin = plugin
      self.path = path
    }
  }

  /// The path of the interpreter.
  public var python: String
  public var plugins: [Plugin]
  public var results: [ResultPath] = []
  /// Whether to load pickles from the log, which can run any code.
  public var trustsPickles = false
  public var failsFast = false
  /// Whether to compare with results recorded live.
  public var verifies = false
  /// The timeout of one call of a plugin; 0 for none.
  public var timeoutSeconds = 0
  /// The most memory that the plugins and the rebuilt state may take, in bytes; 0 for no limit.
  public var memoryLimit: Int64 = Self.defaultMemoryLimit

  /// Enough for the state of about a million tasks.
  public static let defaultMemoryLimit: Int64 = 4 << 30

  public init(python: String, plugins: [Plugin]) {
    self.python = python
    self.plugins = plugins
  }
}

/// Errors of the Python host.
public enum PythonError: Error, Sendable, Equatable, CustomStringConvertible {
  case cannotStart(python: String, reason: String)
  /// A message written by the host.
  case refused(String)
  case exited(python: String, code: Int32, seq: Int64?)
  case signalled(python: String, signal: Int32, seq: Int64?)
  case garbled(python: String)

  public var description: String {
    switch self {
    case .cannotStart(let python, let reason):
      "Python cannot be started: \(python): \(reason); choose another one with --python"
    case .refused(let text): text
    case .exited(let python, let code, let seq):
      "the host of the Python plugins (\(python)) ended with code \(code) \(Self.position(seq))"
    case .signalled(let python, let signal, let seq):
      "the host of the Python plugins (\(python)) was ended by signal \(signal) "
        + "(\(String(cString: strsignal(signal)))) \(Self.position(seq))"
    case .garbled(let python):
      "the host of the Python plugins (\(python)) sent an unreadable answer; the tasklog "
        + "package there may have a different version than this command"
    }
  }

  private static func position(_ seq: Int64?) -> String {
    seq.map { "after receiving the events up to seq \($0)" } ?? "before its first event"
  }
}
