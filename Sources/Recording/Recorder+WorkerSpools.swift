import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// Spools that workers of earlier runs left on this host.
extension Recorder {
  /// Imports what dead workers on this host left in their spools, for runs that are over, into the
  /// log; on a separate thread, since no caller waits for it.
  func importOrphanedSpools(_ folder: String) {
    let (template, own, problem) = (template, runID, problem)
    guard access(folder, F_OK) == 0 else { return }
    _ = DetachedThread.start("tasklog-import") {
      do {
        try WorkerSpools.importOrphanedSpools(folder) { run in
          run == own ? nil : Self.log(ofEnded: run, template)
        }
      } catch {
        problem("tasklog: cannot recover the worker spools in \(folder), they stay there: \(error)")
      }
    }
  }

  /// Adds records of a worker of an earlier run to the log.
  ///
  /// - Returns: whether they are in the log, which requires that it has the run and the run is
  ///   over.
  /// - Throws: `LogError`.
  package func put(
    records: UnsafeRawBufferPointer, of source: Source, run: String
  ) throws -> Bool {
    guard run != runID, let log = Self.log(ofEnded: run, template) else { return false }
    return try WorkerSpools.put(records: records, of: source, run: run, log: log)
  }

  /// The log that has this run, if the run is over; `nil` if there is none.
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
