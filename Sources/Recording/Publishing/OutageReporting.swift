/// Decides whether a failure that will be retried is reported: once per outage.
///
/// A broker that is stopped or restarted accepts and drops connections several times; that is one
/// outage. It is over after `steadyNanoseconds` without a failure.
package struct OutageReporting: Sendable {
  static let steadyNanoseconds: Int64 = 10_000_000_000

  private var isReported = false
  private var worksSince: Int64?

  package init() {}

  /// Records a success.
  ///
  /// - Parameter now: nanoseconds of a monotonic clock.
  package mutating func succeed(at now: Int64) {
    if worksSince == nil { worksSince = now }
  }

  /// Records a failure.
  ///
  /// - Returns: whether it is the first of its outage and should be reported.
  package mutating func fail(at now: Int64) -> Bool {
    if let since = worksSince, now - since >= Self.steadyNanoseconds { isReported = false }
    worksSince = nil
    defer { isReported = true }
    return !isReported
  }
}
