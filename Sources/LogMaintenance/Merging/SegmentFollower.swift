import EventLog
import LogFormat

/// Brings what is recorded into the segments of a run, one after the other, into one log, while more
/// comes.
///
/// A segment ends as closed when its run goes on in the next one. So the end that a segment tells is
/// taken only when the segment was not live before its last look, and has no next one: a segment that
/// was live may have become the last but one in between.
package final class SegmentFollower {
  private let merge: LogMerge
  private let template: String
  private var segment: LogReader
  /// The state of the segment when it was read last; `nil` if it was not.
  private var changes: Int64?

  /// - Parameters:
  ///   - merge: where events go.
  ///   - template: the name that the run's segments have in common.
  ///   - segment: the last one that was read.
  ///   - changes: as of when.
  package init(_ merge: LogMerge, template: String, segment: LogReader, changes: Int64?) {
    (self.merge, self.template) = (merge, template)
    (self.segment, self.changes) = (segment, changes)
  }

  /// Brings what is new, and goes to the next segment once the present one is complete.
  ///
  /// - Parameter betweenLooks: called after the look at whether the segment is live and before it is
  ///   read, for tests.
  /// - Returns: whether more may come.
  /// - Throws: `LogError`; asked again, it goes on where it was.
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

  /// The segment that a run goes on in; `nil` if there is none.
  package static func next(after path: String, _ template: String) -> String? {
    let files = LogTemplate.files(template)
    guard let file = files.first(where: { $0.path == path }) else {
      // It was pruned meanwhile.
      return nil
    }
    return files.first { $0.run == file.run && $0.part > file.part }?.path
  }
}
