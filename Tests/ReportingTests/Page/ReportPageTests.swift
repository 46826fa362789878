import EventLog
import Foundation
import Reporting
import TestSupport
import Testing

/// The content of a page that would be too large.
@Suite struct ReportPageTests {
  private func write(limit: Int) throws -> (result: ReportPage.Result, page: String) {
    let log = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../CommandTests/Logs/sample.db").standardizedFileURL.path
    let reader = try LogReader(path: log)
    let folder = try TemporaryFolder()
    let path = folder("page.html")
    let side = ReportPage.Side(
      reader: reader, runs: try reader.runs(matching: "#1"), name: "</script><b>")
    let result = try ReportPage.write([side], to: path, version: "0", limit: limit)
    return (result, try String(contentsOfFile: path, encoding: .utf8))
  }

  @Test func `a page with room for all events leaves none out`() throws {
    let (result, page) = try write(limit: ReportPage.sizeLimit)
    #expect(result.tasks == 7)
    #expect(result.spans == 7)
    #expect(result.omittedEvents == 0)
    #expect(result.bytes == page.utf8.count)
  }

  @Test func `a page that would be too large omits the events of workers and says so`() throws {
    let (result, page) = try write(limit: 1)
    #expect(result.omittedEvents == 28)
    #expect(page.contains("\"omittedEvents\":28"))
    #expect(page.contains("\"omits\":\"workers\""))
  }

  @Test func `a name cannot close the element that contains it`() throws {
    let (_, page) = try write(limit: ReportPage.sizeLimit)
    #expect(!page.contains("</script><b>"))
    #expect(page.contains("\\u003c/script>\\u003cb>"))
  }
}
