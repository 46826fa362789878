import EventLog
import LogFormat
import TaskLogPlugin

/// Filters, redacts and truncates the events of one source. Used by the thread of the source only;
/// absent if no such option is set.
final class SourceLimits: @unchecked Sendable {
  /// The number of excluded events, and the time, after which a mark records them.
  private static let markInterval = 1024
  private static let markNanoseconds: Int64 = 1_000_000_000

  private let filter: SourceFilter?
  private let redaction: Redaction?
  private let cap: ArgsCap?
  let exclusions = Exclusions()
  private var unmarkedCount = 0
  private var lastMark: Int64 = 0

  init?(_ options: Recorder.Options, redaction: Redaction?, _ source: Source) {
    filter = SourceFilter(options.filter, source)
    self.redaction = redaction
    cap = options.maximumArgsBytes.map { ArgsCap(bytes: max(0, $0)) }
    if filter == nil, redaction == nil, cap == nil { return nil }
  }

  func admits(_ event: borrowing Event) -> Bool {
    guard let filter, !filter.admits(event.hook, event.key) else { return true }
    exclude(event.hook)
    return false
  }

  /// - Parameter fields: the encoded fields of an event, starting with the time.
  func admits(encoded fields: UnsafeRawBufferPointer) -> Bool {
    // An event that cannot be decoded is admitted, and handled as such later.
    guard let filter, let (hook, key) = try? EncodedEvent(fields: fields).hookAndKey(),
      !filter.admits(hook, key)
    else { return true }
    exclude(hook)
    return false
  }

  private func exclude(_ hook: Hook) {
    exclusions.add(hook)
    unmarkedCount += 1
  }

  /// The mark with the counts of excluded events, if it is due.
  func dueMark() -> Event? {
    guard unmarkedCount > 0 else { return nil }
    let now = Clock.now()
    if lastMark == 0 { lastMark = now }
    guard unmarkedCount >= Self.markInterval || now - lastMark >= Self.markNanoseconds
    else { return nil }
    unmarkedCount = 0
    lastMark = now
    return exclusions.drainMark(at: now)
  }

  /// Encodes an event after redaction and truncation.
  func write(
    _ event: borrowing Event, number: Int, sourceSeq: Int64, to out: inout MessagePackWriter
  ) {
    // The mark that counts excluded events is written unchanged.
    guard event.hook != .excluded else {
      return out.write(event, number: number, sourceSeq: sourceSeq)
    }
    guard let redaction else { return writeCapped(event, number, sourceSeq, &out) }
    writeCapped(redaction.redacted(event), number, sourceSeq, &out)
  }

  private func writeCapped(
    _ event: borrowing Event, _ number: Int, _ sourceSeq: Int64, _ out: inout MessagePackWriter
  ) {
    out.write(event, number: number, sourceSeq: sourceSeq)
    guard let cap, out.count > cap.bytes, let args = cap.capped(event.args) else { return }
    var event = copy event
    event.args = args
    out.removeAll()
    out.write(event, number: number, sourceSeq: sourceSeq)
  }

  /// Truncates an already encoded event if it is too long.
  func capEncoded(
    _ fields: UnsafeRawBufferPointer, number: Int, sourceSeq: Int64, in out: inout MessagePackWriter
  ) {
    guard let cap, fields.count > cap.bytes,
      var event = try? EncodedEvent(fields: fields).decoded(), event.hook != .excluded,
      let args = cap.capped(event.args)
    else { return }
    event.args = args
    out.removeAll()
    out.write(event, number: number, sourceSeq: sourceSeq)
  }
}

extension Recorder.Options {
  /// The metadata, with the labels and the limits in force added for readers.
  var metadataWithLimits: Value {
    var limits = filter.facts.filter { !$0.patterns.isEmpty }.map { limit in
      Value.Entry(.string(limit.name), .list(limit.patterns.map { .string($0) }))
    }
    if !redactedArgs.isEmpty {
      limits.append(.init("redactedArgs", .list(redactedArgs.map { .string($0) })))
    }
    if let maximumArgsBytes {
      limits.append(.init("maximumArgsBytes", .int(Int64(maximumArgsBytes))))
    }
    guard case .dict(var entries) = metadata else { return metadata }
    if !limits.isEmpty { entries.append(.init("limits", .dict(limits))) }
    if !labels.isEmpty {
      let pairs = labels.sorted { $0.key < $1.key }
      entries.append(
        .init("labels", .dict(pairs.map { Value.Entry(.string($0.key), .string($0.value)) })))
    }
    return .dict(entries)
  }
}
