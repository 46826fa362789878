import Foundation
import TaskLogKit
import Testing

@Suite struct TourTests {
  @Test func `the tour in the documentation runs`() async throws {
    let log = try TemporaryLog()
    #expect(try await tour(log: log.path) == 338_350)
    #expect(try LogReader(path: log.path).runs().map(\.end) == [.closed])
  }

  @Test(arguments: ["README.md", "Sources/TaskLogKit/TaskLogKit.docc/Embedding.md"])
  func `the tour in the documentation is the file Tour.swift`(document: String) throws {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let code = try String(contentsOf: here.appendingPathComponent("Tour.swift"), encoding: .utf8)
    let file = here.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent(document)
    #expect(try String(contentsOf: file, encoding: .utf8).contains("```swift\n\(code)```"))
  }
}
