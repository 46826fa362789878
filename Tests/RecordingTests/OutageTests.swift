import Testing

@testable import Recording

@Suite struct OutageTests {
  private static let second: Int64 = 1_000_000_000

  /// What happens at which second, and whether a failure is reported.
  @Test func `a failure is reported once per outage`() {
    var outage = OutageReporting()
    let events: [(second: Int64, reported: Bool?)] = [
      (0, true), (1, false), (5, false),
      // It works for a moment: the same outage.
      (6, nil), (7, false), (8, nil), (17, false),
      // It works for long enough, whatever is reported meanwhile.
      (20, nil), (25, nil), (30, true), (31, false),
    ]
    for (second, reported) in events {
      guard let reported else {
        outage.succeed(at: second * Self.second)
        continue
      }
      #expect(outage.fail(at: second * Self.second) == reported, "second \(second)")
    }
  }
}
