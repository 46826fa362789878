import EventLog
import Glibc
import LogFormat
import LogMaintenance
import TaskLogPlugin

/// When a run continues in a new segment, and how that is named.
struct Rotation: Sendable {
  var template: String
  var bytes: Int64?
  var nanoseconds: Int64?

  /// Whether the current segment has reached the size or age at which the next one starts.
  func isDue(_ path: String, since began: SegmentStart) -> Bool {
    if let nanoseconds, SpoolThread.now() - began.time >= nanoseconds { return true }
    return bytes.map { LogPruning.bytes(of: path) - began.bytes >= $0 } ?? false
  }

  /// When a segment began, and its size then: the empty tables take 150 kB.
  struct SegmentStart {
    let time = SpoolThread.now()
    let bytes: Int64

    init(_ path: String) { bytes = LogPruning.bytes(of: path) }
  }

  func path(run: String, part: Int) -> String {
    LogTemplate.path(template, run: run, part: part)
  }
}

extension Recorder.Options {
  /// - Throws: `RecordingError`.
  func checkRotation(_ log: String) throws(RecordingError) {
    guard !LogTemplate.isTemplate(log) || LogTemplate.isUsable(log) else {
      throw .wrongTemplate(log: log)
    }
    guard rotateBytes != nil || rotateSeconds != nil else { return }
    guard LogTemplate.isTemplate(log) else { throw .rotationWithoutRun(log: log) }
    guard rotateBytes.map({ $0 >= 65_536 }) ?? true,
      rotateSeconds.map({ (1...1e9).contains($0) }) ?? true
    else { throw .wrongRotation }
  }

  func rotation(_ template: String) -> Rotation? {
    guard rotateBytes != nil || rotateSeconds != nil else { return nil }
    return Rotation(
      template: template, bytes: rotateBytes,
      nanoseconds: rotateSeconds.map { Int64(saturating: $0 * 1e9) })
  }
}

extension Value {
  func adding(_ name: String, _ text: String) -> Value {
    guard case .dict(let entries) = self else { return self }
    return .dict(entries + [.init(.string(name), .string(text))])
  }
}

extension Recovery {
  /// Recovers the spools of dead recorders next to all logs that match a template.
  static func recoverAll(_ template: String, _ problem: (String) -> Void) {
    for file in LogTemplate.files(template)
    where access(RecorderLock.parent(ofLog: file.path), F_OK) == 0 {
      do {
        for recovered in try recover(log: file.path) where recovered.isNotable {
          problem("tasklog: \(recovered.text)")
        }
      } catch {
        problem("tasklog: \(file.path): cannot recover a dead recorder's spool: \(error)")
      }
    }
  }

  /// Ends the run in the previous segment for a recorder that rotated and died before it did so
  /// itself.
  static func endPreviousFile(_ writer: LogWriter, _ run: LogWriter.OpenRun) {
    guard let name = try? writer.previousFile(run: run.number), UntrustedName.isFileName(name)
    else { return }
    let path = writer.path.sibling(name)
    guard access(path, F_OK) == 0, let previous = try? LogWriter(path: path),
      let openRun = try? previous.openRuns().first(where: { $0.id == run.id }),
      !RecorderLock.isHeld(log: previous.path, run: run.id)
    else { return }
    try? previous.endFile(
      run: openRun.number, continuesIn: writer.path.lastPathComponent, at: Clock.now())
    previous.close()
  }
}
