import EventLog
import LogFormat

/// Copies the segments of a run, one after the other, into one log, while the run is still being
/// recorded.
///
/// A segment ends as closed when its run continues in the next one. So the end of a segment is used
/// only if the segment was not live before it was last read, and has no next one: a segment that
/// was live may have become the second to last in between.
package final class SegmentFollower {
  private let merge: LogMerge
  private let template: String
  private var segment: LogReader
  /// The state of the segment when it was last read; `nil` if it was not.
  private var changes: Int64?

  /// - Parameters:
  ///   - merge: the destination of the events.
  ///   - template: the name that the run's segments have in common.
  ///   - segment: the last one that was read.
  ///   - changes: the state of the segment as of which it was read.
  package init(_ merge: LogMerge, template: String, segment: LogReader, changes: Int64?) {
    (self.merge, self.template) = (merge, template)
    (self.segment, self.changes) = (segment, changes)
  }

  /// Copies new events, and advances to the next segment once the current one is complete.
  ///
  /// - Parameter betweenLooks: called after the check whether the segment is live and before it is
  ///   read, for tests.
  /// - Returns: whether there may be more events.
  /// - Throws: `LogError`; a repeated call resumes at the same position.
  package func step(betweenLooks: () throws -> Void = {}) throws -> Bool {
    let isLive = try segment.runs().contains { $0.end == .running }
    let seen = try segment.changeCount()
    let next = isLive ? nil : Self.next(after: segment.path, template)
    try betweenLooks()
    if seen != changes || !isLive {
      let goesOn = isLive || next != nil
      _ = try merge.add(segment, goingOn: goesOn ? Set(segment.runs().map(\.id)) : [])
    }
    changes = seen
    if let next { (segment, changes) = (try LogReader(path: next), nil) }
    return isLive || next != nil
  }

  /// The segment in which a run continues; `nil` if there is none.
  package static func next(after path: String, _ template: String) -> String? {
    let files = LogTemplate.files(template)
    guard let file = files.first(where: { $0.path == path }) else {
      // The segment was pruned meanwhile.
      return nil
    }
    return files.first { $0.run == file.run && $0.part > file.part }?.path
  }
}
