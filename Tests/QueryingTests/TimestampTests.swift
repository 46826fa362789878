import Querying
import Testing

@Suite struct TimestampTests {
  @Test(arguments: [
    (0, "1970-01-01T00:00:00.000000Z"),
    (951_782_400_000_001_999, "2000-02-29T00:00:00.000001Z"),
    (-1_000, "1969-12-31T23:59:59.999999Z"),
    (.min, "1677-09-21T00:12:43.145224Z"),
    (.max, "2262-04-11T23:47:16.854775Z"),
  ])
  func `a time is written as ISO 8601 with microseconds`(time: Int64, text: String) {
    #expect(Timestamp.iso(time) == text)
  }
}
