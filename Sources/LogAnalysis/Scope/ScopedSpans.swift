import EventLog
import TaskLogPlugin

/// Reads the spans of work in args that are in a scope, cut at the edges of its time window.
struct ScopedSpans: Sendable {
  let scope: RunScope
  /// Only if spans may have times of worker clocks that are off.
  private let clocks: ClockOffsets?

  init(_ reader: LogReader, _ run: RunInfo, _ scope: RunScope) throws {
    self.scope = scope
    let clocks = try reader.clockOffsets(of: run)
    self.clocks = clocks.isAnyOff && run.engine == "dask" ? clocks : nil
  }

  /// The seconds of the longest span of an action; `nil` if none is in the scope.
  func longest(
    of action: OutcomeScan.Action, in text: UnsafeBufferPointer<UInt8>, _ seq: Int64
  ) -> Double? {
    let outcome = OutcomeScan(
      text, longestOf: action, retainsSpans: clocks != nil, window: scope.window)
    guard outcome.longest != nil || clocks != nil else { return nil }
    var life: Int?
    if scope.selectsWorkers || clocks != nil, let worker = outcome.worker {
      life = scope.lives.place(String(decoding: text[worker], as: UTF8.self), at: seq)
    }
    guard scope.includes(worker: life) else { return nil }
    guard let clocks else { return outcome.longest }
    // Times by the worker's own clock are corrected before they are cut.
    let offset =
      life.flatMap { scope.lives.lives[$0].source }.flatMap { clocks.last(ofSource: $0)?.offset }
    let window = scope.window.seconds
    var longest: Double?
    for span in outcome.spans {
      let name = UnsafeBufferPointer(rebasing: text[span.action])
      guard action.includes(name) else { continue }
      let isOwn = ClockOffsets.isByOwnClock(String(decoding: name, as: UTF8.self))
      let shift = isOwn ? Double(offset ?? 0) / 1e9 : 0
      let (start, stop) = (span.start + shift, span.stop + shift)
      guard start <= window.stop, stop >= window.start else { continue }
      longest = max(longest ?? -.infinity, min(stop, window.stop) - max(start, window.start))
    }
    return longest
  }
}
