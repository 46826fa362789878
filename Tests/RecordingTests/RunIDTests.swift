import Testing

@testable import LogFormat

@Suite struct RunIDTests {
  @Test func `a run id is a UUIDv7`() {
    let shape = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
    #expect(RunID.make().wholeMatch(of: shape) != nil)
  }

  @Test func `ids sort by time, also within a millisecond`() {
    let begin: Int64 = 1_769_860_860_123_000_000
    let ids = (0..<4000).map { RunID.make(at: begin + $0 * 250) }
    #expect(ids == ids.sorted())
    #expect(ids.first?.hasPrefix("019c13ed-88db-7000-") == true, "\(ids[0])")
    #expect(ids.last?.hasPrefix("019c13ed-88db-7ff") == true, "\(ids.last ?? "")")
  }
}
