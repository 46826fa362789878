import Glibc

/// Which plugins in Python are to be replayed, and with what.
public struct PythonRequest: Sendable {
  public struct Plugin: Sendable {
    /// `module:Class` or `file.py:Class`.
    public var name: String
    /// What it is made with.
    public var options: [String: String]

    public init(name: String, options: [String: String]) {
      self.name = name
      self.options = options
    }
  }

  /// An attribute that is asked for at the end.
  public struct Wanted: Sendable {
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
  public var results: [Wanted] = []
  /// Loads the pickles in the log, which can run any code.
  public var trustsPickles = false
  public var failsFast = false
  /// Compares with what was noted live.
  public var verifies = false
  /// How long one call of a plugin may take; 0 for ever.
  public var timeoutSeconds = 0

  public init(python: String, plugins: [Plugin]) {
    self.python = python
    self.plugins = plugins
  }
}

/// What can be wrong with plugins in Python.
public enum PythonError: Error, Sendable, Equatable, CustomStringConvertible {
  case cannotStart(python: String, reason: String)
  /// The host has said it in its own words.
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
      "the host of the Python plugins (\(python)) ended with code \(code) \(Self.place(seq))"
    case .signalled(let python, let signal, let seq):
      "the host of the Python plugins (\(python)) was ended by signal \(signal) "
        + "(\(String(cString: strsignal(signal)))) \(Self.place(seq))"
    case .garbled(let python):
      "the host of the Python plugins (\(python)) gave an answer that cannot be read; the tasklog "
        + "package there may be of another version than this command"
    }
  }

  private static func place(_ seq: Int64?) -> String {
    seq.map { "after it was given the events up to seq \($0)" } ?? "before its first event"
  }
}
