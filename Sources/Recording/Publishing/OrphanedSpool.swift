import BrokerMessages
import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The spool of a publisher that died, or had no broker when it ended.
struct OrphanedSpool {
  let run: String
  private let lock: RecorderLock
  private let state: PublisherState
  private let publishing: Publishing

  /// Whether its process ended before the run was closed.
  var hasDied: Bool { state.closed == nil }

  /// The spools in a folder whose locks can be taken; the locks are held while the results live.
  ///
  /// - Parameters:
  ///   - own: the run of the caller.
  ///   - unreadable: called with a folder whose spool cannot be identified.
  static func all(
    in spool: String, but own: String, _ publishing: Publishing, unreadable: (String) -> Void
  ) -> [OrphanedSpool] {
    ((try? FolderListing.names(spool)) ?? []).compactMap { run in
      guard run != own else { return nil }
      guard let lock = RecorderLock(takingOver: run, in: spool) else { return nil }
      lock.leaveFolder()
      guard let state = PublisherState(folder: lock.path) else {
        let hasState = access("\(lock.path)/\(PublisherState.name)", F_OK) == 0
        guard hasState || SpoolFolder.hasRecords(lock.path) else {
          // Killed before the spool held anything, or after all of it was confirmed.
          SpoolFolder.removeFiles(lock.path)
          PublisherState.remove(from: lock.path)
          lock.removeFolder()
          return nil
        }
        unreadable(lock.path)
        return nil
      }
      return OrphanedSpool(run: run, lock: lock, state: state, publishing: publishing)
    }
  }

  /// Sends everything unconfirmed, and that the run died, and removes the folder once all of it is
  /// confirmed.
  ///
  /// - Parameter shouldContinue: polled regularly.
  /// - Returns: false if `shouldContinue` returned false.
  /// - Throws: if the connection is lost or the broker refuses messages. The rest stays, and the
  ///   progress is saved.
  func publish(
    _ connection: any MessageConnection, while shouldContinue: () -> Bool
  ) throws -> Bool {
    var stream = MessageStream(state, publishing)
    do {
      guard try publish(&stream, connection, while: shouldContinue) else {
        try stream.save(in: lock.path)
        return false
      }
    } catch {
      try stream.save(in: lock.path)
      throw error
    }
    SpoolFolder.removeFiles(lock.path)
    PublisherState.remove(from: lock.path)
    lock.removeFolder()
    return true
  }

  private func publish(
    _ stream: inout MessageStream, _ connection: any MessageConnection,
    while shouldContinue: () -> Bool
  ) throws -> Bool {
    let folder = try SpoolFolder(lock.path)
    defer { folder.unmap() }
    var reader = SpoolReader(from: max(state.position, folder.first)) { folder.mappings[$0] }
    var hasEnded = false
    while !hasEnded || !stream.isDone {
      guard shouldContinue() else { return false }
      while stream.window.hasRoom, !hasEnded {
        switch reader.next(before: folder.end) {
        case .record(let content, let position):
          try stream.take(content, at: position, readTo: reader.position)
        // No producer is left to fill it.
        case .hole: reader.skip(to: folder.end)
        case .end:
          hasEnded = true
          let lasts = folder.lastSourceSeqs
          for (index, last) in lasts {
            try stream.fill(
              index, through: last, hasDied ? GapReason.lostInDeath : GapReason.lostInSpool)
          }
          stream.end(hasDied ? .died : .closed, at: state.closed, lastSourceSeqs: lasts)
        }
      }
      try stream.sendAll(connection)
      for confirm in try connection.confirms(waitingMilliseconds: stream.window.hasRoom ? 10 : 100)
      {
        stream.take(confirm)
        guard confirm.isAccepted else { throw PublishingError.refused }
      }
    }
    return true
  }
}
