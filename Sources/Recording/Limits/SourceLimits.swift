import EventLog
import LogFormat
import TaskLogPlugin

/// What is left out of one source's events, hidden in them, and cut off of them. Its source's thread
/// uses it; there is none where nothing of that is asked for.
final class SourceLimits: @unchecked Sendable {
  /// So many events may be left out before that is noted, and for so long.
  private static let noteEvery = 1024
  private static let noteNanoseconds: Int64 = 1_000_000_000

  private let filter: SourceFilter?
  private let redaction: Redaction?
  private let cap: ArgsCap?
  let exclusions = Exclusions()
  private var unnoted = 0
  private var lastNote: Int64 = 0

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

  /// - Parameter fields: an event from its time on, as it lies in a spool.
  func admits(encoded fields: UnsafeRawBufferPointer) -> Bool {
    // What cannot be read goes the way of everything else that cannot.
    guard let filter, let (hook, key) = try? EncodedEvent(fields: fields).hookAndKey(),
      !filter.admits(hook, key)
    else { return true }
    exclude(hook)
    return false
  }

  private func exclude(_ hook: Hook) {
    exclusions.add(hook)
    unnoted += 1
  }

  /// The mark that tells what was left out, when it is due.
  func dueMark() -> Event? {
    guard unnoted > 0 else { return nil }
    let now = Clock.now()
    if lastNote == 0 { lastNote = now }
    guard unnoted >= Self.noteEvery || now - lastNote >= Self.noteNanoseconds else { return nil }
    unnoted = 0
    lastNote = now
    return exclusions.takeMark(at: now)
  }

  /// Encodes an event with what is to be hidden and cut off.
  func write(
    _ event: borrowing Event, number: Int, sourceSeq: Int64, to out: inout MessagePackWriter
  ) {
    // What tells how much was left out is told as it is.
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

  /// The same for an event that another has encoded: cuts off what is too long.
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
  /// With the limits that are in force, for readers to know of.
  var metadataWithLimits: Value {
    var limits = filter.facts.filter { !$0.patterns.isEmpty }.map { fact in
      Value.Entry(.string(fact.name), .list(fact.patterns.map { .string($0) }))
    }
    if !redactedArgs.isEmpty {
      limits.append(.init("redactedArgs", .list(redactedArgs.map { .string($0) })))
    }
    if let maximumArgsBytes {
      limits.append(.init("maximumArgsBytes", .int(Int64(maximumArgsBytes))))
    }
    guard !limits.isEmpty, case .dict(let entries) = metadata else { return metadata }
    return .dict(entries + [.init("limits", .dict(limits))])
  }
}
