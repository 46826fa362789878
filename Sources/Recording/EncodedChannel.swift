import LogFormat
import Synchronization
import TaskLogPlugin

/// Stores a source's events in the spool for a host that encodes them itself, in another language.
/// Any thread may call it.
///
/// An event is a MessagePack array of the fields of a `SpoolRecord` event, starting with the time.
package final class EncodedChannel: Sendable {
  package struct Counts: Sendable {
    /// The source_seq of the last event.
    package var sourceSeq: Int64
    /// The number of events that were dropped for lack of room.
    package var lost: Int64
  }

  /// The header of a MessagePack array of ten elements, the fields.
  private static let fieldsHeader: UInt8 = 0x9A

  private let channel: Mutex<SpoolChannel>

  fileprivate init(_ channel: SpoolChannel) {
    self.channel = Mutex(channel)
  }

  /// Stores an event, which gets its source_seq here.
  ///
  /// - Returns: its source_seq; `nil` if the recorder is closed or this is not an event.
  package func put(_ event: UnsafeRawBufferPointer) -> Int64? {
    guard event.count > 10, event[0] == Self.fieldsHeader else { return nil }
    let fields = UnsafeRawBufferPointer(rebasing: event[1...])
    // Only a gap needs the time, and a gap is written with the next event that finds room.
    return channel.withLock { $0.record(encoded: fields, time: Clock.now()) }
  }

  /// Stores records of a source that assigns its source_seqs itself, as they are in its spool;
  /// duplicates are skipped.
  ///
  /// - Returns: the source_seq of the last stored event; `nil` if the recorder is closed.
  package func put(records: UnsafeRawBufferPointer) -> Int64? {
    channel.withLock { channel in
      guard channel.isAccepting else { return nil }
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

  /// Records that the next `count` events are missing, and why.
  package func putGap(_ count: Int64, reason: String) {
    channel.withLock { $0.recordGap(count, reason, time: Clock.now()) }
  }

  package var counts: Counts {
    channel.withLock { Counts(sourceSeq: $0.sourceSeq, lost: $0.lostCount) }
  }
}

extension Recorder {
  /// A channel for the encoded events of one source; `nil` if recording is disabled.
  package func encodedChannel(for source: Source) -> EncodedChannel? {
    spoolChannel(for: source).map(EncodedChannel.init)
  }
}
