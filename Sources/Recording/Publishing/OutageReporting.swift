/// Decides whether a failure that will be tried again is reported: once per outage.
///
/// A broker that is stopped or restarted takes connections and drops them several times; that is one
/// outage. It is over when the work has gone well for `steadyNanoseconds`.
public struct OutageReporting: Sendable {
  static let steadyNanoseconds: Int64 = 10_000_000_000

  private var isReported = false
  private var worksSince: Int64?

  public init() {}

  /// Notes that the work goes well.
  ///
  /// - Parameter now: nanoseconds of a clock that never jumps.
  public mutating func succeed(at now: Int64) {
    if worksSince == nil { worksSince = now }
  }

  /// Notes a failure.
  ///
  /// - Returns: whether it is the first of its outage, and so to be reported.
  public mutating func fail(at now: Int64) -> Bool {
    if let since = worksSince, now - since >= Self.steadyNanoseconds { isReported = false }
    worksSince = nil
    defer { isReported = true }
    return !isReported
  }
}
