import LogFormat
import Synchronization
import TaskLogPlugin

/// The way of a source's events into the spool for a host that encodes them itself: another
/// language's. Any thread may call it.
///
/// An event is the MessagePack array of the fields of `SpoolRecord`'s event from the time on.
public final class EncodedChannel: Sendable {
  public struct Counts: Sendable {
    /// The number of the last event.
    public var sourceSeq: Int64
    /// How many events there has been no room for.
    public var lost: Int64
  }

  /// An array of ten, of which the fields follow.
  private static let fieldsHeader: UInt8 = 0x9A

  private let channel: Mutex<SpoolChannel>

  fileprivate init(_ channel: SpoolChannel) {
    self.channel = Mutex(channel)
  }

  /// Takes in an event that gets its number here.
  ///
  /// - Returns: its number; nothing when the recorder takes nothing in any more, or this is no event.
  public func put(_ event: UnsafeRawBufferPointer) -> Int64? {
    guard event.count > 10, event[0] == Self.fieldsHeader else { return nil }
    let fields = UnsafeRawBufferPointer(rebasing: event[1...])
    // Only a gap needs the time, and a gap is written with the next event that finds room.
    return channel.withLock { $0.record(encoded: fields, time: Clock.now()) }
  }

  /// Takes in records of a source that numbers its events itself, as they lie in its spool; what has
  /// come before is left out.
  ///
  /// - Returns: the number of the last event that has been taken in; nothing when the recorder takes
  ///   nothing in any more.
  public func put(records: UnsafeRawBufferPointer) -> Int64? {
    channel.withLock { channel in
      guard channel.isTaking else { return nil }
      var reader = SourceRecordReader(records)
      while let record = reader.next() {
        switch record {
        case .event(let sourceSeq, let fields):
          _ = channel.record(encoded: fields, sourceSeq: sourceSeq, time: Clock.now())
        case .gap(let sourceSeq, let count, let time, let reason):
          guard sourceSeq > channel.sourceSeq else { continue }
          let before = sourceSeq - channel.sourceSeq - 1
          if before > 0 { channel.recordGap(before, "lost on the way", time: time) }
          channel.recordGap(count, reason, time: time)
        }
      }
      return channel.sourceSeq
    }
  }

  /// Notes that so many events from here on are missing, and why.
  public func putGap(_ count: Int64, reason: String) {
    channel.withLock { $0.recordGap(count, reason, time: Clock.now()) }
  }

  public var counts: Counts {
    channel.withLock { Counts(sourceSeq: $0.sourceSeq, lost: $0.lostCount) }
  }
}

extension Recorder {
  /// Where the encoded events of one source go; nothing when recording is disabled.
  public func encodedChannel(for source: Source) -> EncodedChannel? {
    spoolChannel(for: source).map(EncodedChannel.init)
  }
}
