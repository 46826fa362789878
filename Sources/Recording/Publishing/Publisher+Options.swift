import EventLog
import LogFormat

extension Publisher {
  /// - Throws: `LogError` if the spool cannot be written.
  convenience init(
    _ publishing: Publishing, _ header: RunHeader, _ options: Recorder.Options
  ) throws {
    let lock = try RecorderLock(in: publishing.spool, run: header.id)
    do {
      let spool = try Spool(
        folder: lock.path, segmentSize: max(4096, options.segmentSize),
        limit: options.spoolLimit ?? Recorder.defaultLimit(publishing.spool))
      try self.init(
        publishing: publishing, header: header, spool: spool, lock: lock,
        settings: .init(
          pauseMilliseconds: max(1, Int(options.pauseMicroseconds / 1000)),
          closeNanoseconds: Int64(saturating: options.closeSeconds * 1e9), problem: options.problem)
      )
    } catch let error as SpoolError {
      throw LogError.cannotWrite(path: publishing.spool, reason: error.description)
    }
  }
}
