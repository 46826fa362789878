import EventLog
import Testing

@Suite struct RunIDTests {
  @Test func `a run id is a UUIDv7`() {
    let shape = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
    #expect(RunID.make().wholeMatch(of: shape) != nil)
  }

  @Test func `the ids of a later millisecond sort behind`() {
    let first = RunID.make()
    let begun = Clock.now()
    while Clock.now() < begun + 2_000_000 {}
    #expect(first < RunID.make())
  }
}
