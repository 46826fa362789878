import BrokerMessages
import EventLog
import Glibc
import TaskLogPlugin

/// Saves checkpoints of one replay, and finds the last one that the replay can start from.
///
/// A checkpoint is valid if the log up to it is unchanged: each source's last event has the same
/// position, and nothing has been removed before it. Later events may still change the order before
/// it, if they are causes of earlier ones; `LogReader.holds` detects that. Then an earlier
/// checkpoint may be valid.
final class CheckpointManager {
  /// A state with more than one task per this many events is rebuilt from the log on access:
  /// reading it from the checkpoint would take about as long.
  private static let eventsPerTask: Int64 = 50

  private let store: CheckpointStore
  private let every: Int64
  private let reader: LogReader
  private let run: RunInfo
  /// The kinds of sources that have plugins.
  private let kinds: Set<Source.Kind>
  /// Messages for the user, one line each.
  private(set) var notices: [String] = []

  private var lastCount: Int64
  private var isNearEnd = false
  private var isBroken = false

  /// `nil` if checkpoints are off or impossible.
  init?(
    _ options: ReplayOptions, reader: LogReader, run: RunInfo,
    factories: [(factory: PluginFactory, options: [String: String])]
  ) {
    guard let checkpoints = options.checkpoints, checkpoints.every > 0, !options.isPartial,
      !options.follows, !options.verifies, options.speed == nil, !factories.isEmpty,
      factories.allSatisfy({ $0.factory.type is any Checkpointing.Type })
    else { return nil }
    store = CheckpointStore(
      folder: checkpoints.folder, log: (try? reader.logIdentity()) ?? 0, run: run,
      plugins: Self.identity(of: factories))
    every = checkpoints.every
    self.reader = reader
    self.run = run
    var kinds: Set<Source.Kind> = []
    for (factory, _) in factories {
      if factory.type is any SchedulerPlugin.Type { kinds.insert(.scheduler) }
      if factory.type is any WorkerPlugin.Type { kinds.insert(.worker) }
    }
    self.kinds = kinds
    lastCount = 0
  }

  /// A text that differs if the plugins or this executable do.
  private static func identity(
    of factories: [(factory: PluginFactory, options: [String: String])]
  ) -> String {
    var parts = [ProgramIdentity.text]
    for (factory, options) in factories {
      parts += [factory.name, String(reflecting: factory.type), factory.content]
      for name in options.keys.sorted() { parts += [name, options[name] ?? ""] }
      parts.append("")
    }
    // As JSON the parts stay separate.
    return JSONWriter.text(.list(parts.map(Value.string)))
  }

  // MARK: - Loading

  /// The positions of checkpoints that a replay may start from, the latest first.
  ///
  /// - Throws: `LogError`.
  func candidates() throws -> some Sequence<Int64> {
    store.positions().filter { $0 <= run.lastSeq ?? 0 }
  }

  /// The checkpoint at a position, or `nil` if it is missing, damaged or invalid.
  ///
  /// - Throws: `LogError`.
  func checkpoint(at position: Int64, sources: [SourceInfo]) throws -> Checkpoint? {
    guard let checkpoint = store.read(position) else {
      notices.append("the checkpoint \(store.path(position)) is damaged, and is not used")
      store.remove(position)
      return nil
    }
    guard try matches(checkpoint, sources), try reader.holds(checkpoint.place, of: run) else {
      return nil
    }
    lastCount = checkpoint.place.count
    return checkpoint
  }

  /// Discards a checkpoint that plugins could not restore.
  func refuse(_ position: Int64, _ error: any Error) {
    notices.append(
      "the checkpoint \(store.path(position)) is not used: \(error)")
    store.remove(position)
    lastCount = 0
  }

  private func matches(_ checkpoint: Checkpoint, _ sources: [SourceInfo]) throws -> Bool {
    var unmatched = Dictionary(checkpoint.sources.map { ($0.id, $0) }) { first, _ in first }
    for info in sources where kinds.contains(info.source.kind) {
      guard let saved = unmatched.removeValue(forKey: info.source.id) else {
        // A source that joined later.
        if let first = try reader.first(of: info), first.seq <= checkpoint.place.position,
          checkpoint.place.isCausal
        {
          return false
        }
        continue
      }
      guard try state(of: info, at: saved.sourceSeq) == saved else { return false }
    }
    return unmatched.isEmpty
  }

  private func state(
    of info: SourceInfo, at sourceSeq: Int64
  ) throws -> Checkpoint.SourceState? {
    guard let seq = try reader.seq(of: sourceSeq, in: info),
      let first = try reader.first(of: info)
    else { return nil }
    return Checkpoint.SourceState(
      id: info.source.id, sourceSeq: sourceSeq, seq: seq,
      missing: try reader.missing(of: info, before: sourceSeq), firstSourceSeq: first.sourceSeq)
  }

  // MARK: - Saving

  /// Whether the next checkpoint is due.
  func isDue(_ cursor: EventCursor) -> Bool {
    if isBroken { return false }
    if cursor.count - lastCount >= every { return true }
    // The last events of a live run may still be reordered, which would invalidate a checkpoint at
    // its end, but not one before them.
    guard run.end == .running, !isNearEnd, cursor.count >= every else { return false }
    isNearEnd = (run.lastSeq ?? 0) - (cursor.lastPosition) <= 1 << 15
    return isNearEnd
  }

  /// Whether a checkpoint is due at the end of the log.
  func isDueAtEnd(_ cursor: EventCursor) -> Bool {
    !isBroken && cursor.count >= every && cursor.count > lastCount
  }

  /// Saves a checkpoint between two events.
  ///
  /// - Throws: `LogError`.
  func save(_ place: ResumePoint, _ replays: [SourceReplay]) throws {
    var checkpoint = Checkpoint(place: place, sources: [], instances: [])
    for replay in replays {
      guard let sourceSeq = replay.currentSourceSeq else { continue }
      guard let state = try state(of: replay.info, at: sourceSeq) else { return }
      checkpoint.sources.append(state)
      do {
        checkpoint.instances += try replay.checkpoints()
        checkpoint.states[replay.info.source.id] = replay.savedState(
          limit: Int(place.count / Self.eventsPerTask))
      } catch {
        isBroken = true
        notices.append("no checkpoints are kept: \(error)")
        return
      }
    }
    lastCount = place.count
    guard let reason = store.write(checkpoint) else { return }
    isBroken = true
    notices.append("no checkpoints are kept: \(store.path(place.position)): \(reason)")
  }
}
