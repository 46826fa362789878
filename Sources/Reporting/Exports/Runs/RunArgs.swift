import LogFormat
import TaskLogPlugin

/// The args of a task's end about its run, read without decoding all of them.
struct RunArgs {
  var worker: String?
  /// The worker's ID of its thread; Dask's are addresses.
  var thread: Int64?
  var nbytes: Int64?
  var typeName: String?
  var exception: String?
  var traceback: String?
  /// The task that it failed because of, which is not in the args.
  var blamed: String?
  var spans: [WorkSpan] = []

  init() {}

  init(_ json: String) {
    var json = json
    json.withUTF8 { read(JSONScanner($0)) }
  }

  private mutating func read(_ scanner: JSONScanner) {
    var scanner = scanner
    scanner.members { name, scanner in
      switch name {
      case _ where scanner.equals(name, "worker"): worker = Self.text(&scanner)
      case _ where scanner.equals(name, "thread"): thread = scanner.integer()
      case _ where scanner.equals(name, "nbytes"): nbytes = scanner.integer()
      case _ where scanner.equals(name, "typename"): typeName = Self.text(&scanner)
      case _ where scanner.equals(name, "exception_text"): exception = Self.text(&scanner)
      case _ where scanner.equals(name, "traceback_text"): traceback = Self.text(&scanner)
      case _ where scanner.equals(name, "startstops"):
        scanner.elements { if let span = Self.span(&$0) { spans.append(span) } }
      default: break
      }
    }
  }

  private static func span(_ scanner: inout JSONScanner) -> WorkSpan? {
    var (action, source): (String?, String?)
    var (start, stop): (Double?, Double?)
    scanner.members { name, scanner in
      switch name {
      case _ where scanner.equals(name, "action"): action = text(&scanner)
      case _ where scanner.equals(name, "source"): source = text(&scanner)
      case _ where scanner.equals(name, "start"): start = scanner.number()
      case _ where scanner.equals(name, "stop"): stop = scanner.number()
      default: break
      }
    }
    guard let action, let start, let stop else { return nil }
    return WorkSpan(StartStop(action: action, start: start, stop: stop, source: source))
  }

  /// A string. A value that is not plain text (truncated, redacted, with lone surrogates) is shown
  /// as recorded in the log.
  private static func text(_ scanner: inout JSONScanner) -> String? {
    guard let token = scanner.token() else { return nil }
    let json = scanner[token]
    if json.first == 0x22, !json.contains(0x5C) {
      return String(decoding: json.dropFirst().dropLast(), as: UTF8.self)
    }
    let text = String(decoding: json, as: UTF8.self)
    switch try? JSONReader.value(text) {
    case .string(let string)?: return string
    case .null?: return nil
    default: return text
    }
  }
}
