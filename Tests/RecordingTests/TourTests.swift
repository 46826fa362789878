import Foundation
import TaskLogKit
import Testing

@Suite struct TourTests {
  @Test func `the tour in the README runs`() async throws {
    let log = try TemporaryLog()
    #expect(try await tour(log: log.path) == 338_350)
    #expect(try LogReader(path: log.path).runs().map(\.end) == [.closed])
  }

  @Test func `the tour in the README is the file Tour.swift`() throws {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let code = try String(contentsOf: here.appendingPathComponent("Tour.swift"), encoding: .utf8)
    let readme = here.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("README.md")
    #expect(try String(contentsOf: readme, encoding: .utf8).contains("```swift\n\(code)```"))
  }
}
