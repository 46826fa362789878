import EventLog
import Glibc
import LogFormat
import LogMaintenance
import TaskLogPlugin

/// When a run goes on in another file, and how that is called.
struct Rotation: Sendable {
  var template: String
  var bytes: Int64?
  var nanoseconds: Int64?

  /// Whether a segment has reached the size or the age at which the next one starts.
  func isDue(_ path: String, since began: Beginning) -> Bool {
    if let nanoseconds, SpoolThread.now() - began.time >= nanoseconds { return true }
    return bytes.map { LogPruning.bytes(of: path) - began.bytes >= $0 } ?? false
  }

  /// The time at which a segment began, and its size then: the empty tables take 150 kB.
  struct Beginning {
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
      template: template, bytes: rotateBytes, nanoseconds: rotateSeconds.map { Int64($0 * 1e9) })
  }
}

extension String {
  /// The name of a file without its folder.
  var lastComponent: String { String(split(separator: "/").last ?? "") }
}

extension Value {
  func adding(_ name: String, _ text: String) -> Value {
    guard case .dict(let entries) = self else { return self }
    return .dict(entries + [.init(.string(name), .string(text))])
  }
}

extension Recovery {
  /// Recovers what dead recorders have left beside any of the logs that a name stands for.
  static func recoverAll(_ template: String, _ problem: (String) -> Void) {
    for file in LogTemplate.files(template)
    where access(RecorderLock.parent(ofLog: file.path), F_OK) == 0 {
      do {
        for recovered in try recover(log: file.path) where recovered.events > 0 {
          problem("tasklog: \(recovered.text)")
        }
      } catch {
        problem("tasklog: \(file.path): what a dead recorder has left stays in its spool: \(error)")
      }
    }
  }

  /// A recorder that went on in another file and died before it ended the run in the one before.
  static func endPreviousFile(_ writer: LogWriter, _ run: LogWriter.OpenRun) {
    guard let name = try? writer.previousFile(run: run.number), !name.contains("/") else { return }
    let folder = writer.path.lastIndex(of: "/").map { String(writer.path[...$0]) } ?? ""
    guard access(folder + name, F_OK) == 0, let before = try? LogWriter(path: folder + name),
      let open = try? before.openRuns().first(where: { $0.id == run.id }),
      !RecorderLock.isHeld(log: before.path, run: run.id)
    else { return }
    try? before.endFile(
      run: open.number, goesOnIn: writer.path.lastComponent, at: Clock.now())
    before.close()
  }
}
