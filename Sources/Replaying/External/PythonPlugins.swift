import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// All Python plugins of one replay, in one program: the host in the `tasklog` package, which
/// rebuilds Dask's own state and calls them as Dask would.
public final class PythonPlugins: ExternalPlugin {
  private static let bufferSize = 1 << 16
  /// Starts the host, or sends a message why it is unavailable.
  private static let bootstrap = """
    import sys
    # The current folder, which may be one of downloads: its modules are not imported.
    sys.path[:] = [folder for folder in sys.path if folder]
    import os
    def refuse(text):
        text = text.encode()
        body = b"\\x92\\x01\\xdb" + len(text).to_bytes(4, "big") + text
        os.write(3, len(body).to_bytes(4, "big") + body)
        os._exit(1)
    try:
        from tasklog.replay.__main__ import main
        import msgpack
    except ModuleNotFoundError as error:
        if error.name == "tasklog":
            refuse(f"there is no tasklog package in {sys.executable}: install it with "
                   f"'{sys.executable} -m pip install tasklog-….whl', or choose another Python "
                   "with --python")
        if error.name == "msgpack":
            refuse(f"{sys.executable} has no msgpack, which replaying needs: install it with "
                   f"'{sys.executable} -m pip install msgpack', or choose another Python with "
                   "--python")
        refuse(f"the tasklog package in {sys.executable} does not import ({error}): install it "
               f"again with '{sys.executable} -m pip install --force-reinstall tasklog-….whl', or "
               "choose another Python with --python")
    main(3)
    """

  private enum Answer: Int64 {
    case ready, refused, failure, done
  }

  /// Which events of a kind of source the host needs.
  private enum Need: String {
    case nothing, hooks, everything
  }

  package let name = "python"
  private let request: PythonRequest
  private var frames = PythonFrames()
  private var child: ChildProgram?
  private var kinds: [Int64: Source.Kind] = [:]
  private var schedulerNeed = Need.everything
  private var workerNeed = Need.everything
  private var buffered: Int64?
  private var isReady = false
  private var result: ExternalResult?
  private var failures: [Replayer.Failure] = []

  public init(_ request: PythonRequest) {
    self.request = request
  }

  deinit { child?.stop() }

  package var needsAll: Bool { schedulerNeed == .everything || workerNeed == .everything }

  package func needs(_ source: SourceInfo) -> Bool {
    need(of: source.source.kind) != .nothing
  }

  private func need(of kind: Source.Kind?) -> Need {
    kind == .scheduler ? schedulerNeed : workerNeed
  }

  package var failureCount: Int { failures.count }

  package func begin(_ run: RunInfo, sources: [SourceInfo]) throws {
    var environment: [String: String] = [:]
    // Makes the order of sets reproducible.
    if getenv("PYTHONHASHSEED") == nil { environment["PYTHONHASHSEED"] = "0" }
    if let path = getenv("PYTHONPATH") {
      environment["PYTHONPATH"] = Self.withoutCurrentFolder(String(cString: path))
    }
    do {
      child = try ChildProgram(
        words: [request.python, "-c", Self.bootstrap], environment: environment, answers: true)
    } catch {
      throw PythonError.cannotStart(python: request.python, reason: error.reason)
    }
    frames.hello(request, run: run)
    for source in sources { try join(source) }
    try send()
    while !isReady { try waitForAnswer() }
  }

  /// A search path without the current folder: an empty entry is most often an accident
  /// (`$PYTHONPATH:/other`), and Python imports its own modules from there. A plugin that is there
  /// is found nevertheless (`loading.py`).
  static func withoutCurrentFolder(_ path: String) -> String {
    path.split(separator: ":").filter { entry in
      entry.split(separator: "/").contains { $0 != "." } || entry.first == "/"
    }.joined(separator: ":")
  }

  package func join(_ source: SourceInfo) throws {
    kinds[source.number] = source.source.kind
    frames.source(source)
  }

  package func process(_ recorded: RecordedEvent, isSelected: Bool) throws -> Bool {
    var rebuilds = false
    switch need(of: kinds[recorded.source]) {
    case .nothing: return true
    case .hooks:
      guard isSelected, recorded.event.hook.isCalled else { return true }
    case .everything: rebuilds = true
    }
    // No hook receives the snapshot of a transition.
    frames.event(
      recorded, isSelected: isSelected,
      hasSnapshot: rebuilds || recorded.event.hook != .transition)
    buffered = recorded.seq
    if frames.count >= Self.bufferSize { try send() }
    return true
  }

  package func flush() throws {
    frames.flush()
    try send()
  }

  package func finish() throws -> ExternalResult {
    frames.finish()
    try send()
    while result == nil { try waitForAnswer() }
    child?.closeInput()
    _ = child?.wait(timeoutSeconds: nil)
    return result ?? ExternalResult()
  }

  // MARK: - Communication with the host

  private func send() throws {
    guard let child else { return }
    if frames.count > 0, case .closed = child.write(frames.bytes, timeoutSeconds: nil) {
      // The host has ended: read its remaining answers.
      while child.waitForAnswer() {}
      try consumeAnswers()
      throw ended(child)
    }
    frames.removeAll()
    child.receive()
    try consumeAnswers()
  }

  private func waitForAnswer() throws {
    guard let child else { return }
    let isOpen = child.waitForAnswer()
    try consumeAnswers()
    if !isOpen, result == nil { throw ended(child) }
  }

  private func ended(_ child: ChildProgram) -> PythonError {
    switch child.wait(timeoutSeconds: nil) {
    case .exited(let code): .exited(python: request.python, code: code, seq: buffered)
    case .signalled(let signal):
      .signalled(python: request.python, signal: signal, seq: buffered)
    case .timedOut: .garbled(python: request.python)
    }
  }

  /// Consumes complete answers. Each is preceded by its length in four bytes.
  private func consumeAnswers() throws {
    guard let child else { return }
    while child.answers.count >= 4 {
      let count = child.answers[..<4].reduce(0) { $0 << 8 | Int($1) }
      guard child.answers.count >= 4 + count else { return }
      let answer = Array(child.answers[4..<4 + count])
      child.removeAnswers(4 + count)
      let value = answer.withUnsafeBytes { bytes in
        var reader = MessagePackReader(bytes)
        return try? reader.value()
      }
      try consume(value?.elements ?? [])
    }
  }

  private func consume(_ fields: [Value]) throws(PythonError) {
    guard let kind = fields.first?.int.flatMap(Answer.init), fields.count > 1 else {
      throw .garbled(python: request.python)
    }
    switch kind {
    case .ready:
      isReady = true
      schedulerNeed = fields[1]["scheduler"]?.string.flatMap(Need.init) ?? .everything
      workerNeed = fields[1]["workers"]?.string.flatMap(Need.init) ?? .everything
    case .refused: throw .refused(fields[1].string ?? "")
    case .failure:
      guard fields.count > 6 else { throw .garbled(python: request.python) }
      failures.append(
        .init(
          plugin: fields[1].string ?? "", worker: fields[2].string, seq: fields[3].int,
          hook: fields[4].string ?? "", event: fields[5].string, error: fields[6].string ?? ""))
    case .done: result = PythonSummary(fields[1]).result(failures)
    }
  }
}

extension Hook {
  /// Whether plugins are called with it, compared, or known to have failed; other hooks are marks,
  /// or the start of plugins.
  fileprivate var isCalled: Bool {
    switch self {
    case .start, .attach, .detach, .stimulus, .clientDesiresKeys, .clientReleasesKeys, .addReplica,
      .removeReplica, .excluded, .heartbeat, .nanny, .message, .request, .lock, .plugin, .monitor,
      .profile, .submission:
      false
    default: true
    }
  }
}
