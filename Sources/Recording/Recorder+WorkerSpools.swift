import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// What workers of earlier runs have left in their spools.
extension Recorder {
  /// Puts what dead workers on this host have left of runs that are over into the log; on a thread of
  /// its own, since nobody has to wait for it.
  func pickUp(_ folder: String) {
    let (template, own, problem) = (template, runID, problem)
    guard access(folder, F_OK) == 0 else { return }
    Background.start {
      do {
        try WorkerSpools.pickUp(folder) { run in
          run == own ? nil : Self.log(ofEnded: run, template)
        }
      } catch {
        problem("tasklog: what workers have left in \(folder) stays there: \(error)")
      }
    }
  }

  /// Puts records of a worker of an earlier run into the log.
  ///
  /// - Returns: whether they are there: the run has to be in the log, and over.
  /// - Throws: `LogError`.
  public func put(
    records: UnsafeRawBufferPointer, of source: Source, run: String
  ) throws -> Bool {
    guard run != runID, let log = Self.log(ofEnded: run, template) else { return false }
    return try WorkerSpools.put(records: records, of: source, run: run, log: log)
  }

  /// The log that has a run which is over; `nil` if there is none.
  private static func log(ofEnded run: String, _ template: String) -> String? {
    let path =
      LogTemplate.isTemplate(template)
      ? LogTemplate.files(template).last { $0.run == run }?.path : template
    guard let path, let runs = try? LogReader(path: path).runs(),
      runs.contains(where: { $0.id == run && $0.end != .running })
    else { return nil }
    return path
  }
}

/// A thread that nobody waits for.
private final class Background {
  private let body: @Sendable () -> Void

  private init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  static func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    // Balanced by the release at the end of the thread.
    let this = Unmanaged.passRetained(Background(body))
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Background>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, this.toOpaque())
    if code == 0 { pthread_detach(thread) } else { this.release() }
  }
}
