import TaskLogPlugin

/// An event as stored in a log.
public struct RecordedEvent: Sendable {
  /// The order of arrival in the file.
  public var seq: Int64
  /// The row ID of its source in the file.
  public var source: Int64
  /// The order of happening within its source.
  public var sourceSeq: Int64
  /// The row ID of its key in the file; 0 without one.
  public var keyNumber: Int64
  /// The row ID of its stimulus in the file; 0 without one.
  public var stimulusNumber: Int64
  public var event: Event

  package init(
    seq: Int64, source: Int64, sourceSeq: Int64, keyNumber: Int64, stimulusNumber: Int64,
    event: Event
  ) {
    self.seq = seq
    self.source = source
    self.sourceSeq = sourceSeq
    self.keyNumber = keyNumber
    self.stimulusNumber = stimulusNumber
    self.event = event
  }
}

/// The order in which events are read.
public enum EventOrder: Sendable {
  /// As they arrived in the file.
  case arrival
  /// Causes before effects; see `CausalOrder`.
  case causal
}

extension RecordedEvent: CausalItem {
  package func given(schedulers: Set<Int64>) -> CausalCause? {
    guard keyNumber != 0 else { return nil }
    if schedulers.contains(source) {
      guard let run = event.taskRunID,
        event.hook == .logEvent || event.hook == .transition && event.finish == .processing
      else { return nil }
      return CausalCause(kind: .processing, key: keyNumber, number: run)
    }
    guard event.hook == .transition, event.finish != nil, let start = event.start,
      CausalCause.statesOfRun.contains(start), stimulusNumber != 0
    else { return nil }
    return CausalCause(kind: .workerDone, key: keyNumber, number: stimulusNumber)
  }

  package func cause(schedulers: Set<Int64>) -> CausalCause? {
    guard keyNumber != 0 else { return nil }
    if schedulers.contains(source) {
      guard event.hook == .transition, event.start == .processing,
        event.finish == .memory || event.finish == .erred, stimulusNumber != 0
      else { return nil }
      return CausalCause(kind: .workerDone, key: keyNumber, number: stimulusNumber)
    }
    guard let run = event.taskRunID, run >= 0 else { return nil }
    return CausalCause(kind: .processing, key: keyNumber, number: run)
  }
}
