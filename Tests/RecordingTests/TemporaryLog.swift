import Foundation
import TaskLogKit
import TestSupport

/// A temporary folder for a test's log, removed with it.
final class TemporaryLog: Sendable {
  private let temporary: TemporaryFolder
  var folder: URL { temporary.url }
  var path: String { temporary("test.db") }

  init() throws {
    temporary = try TemporaryFolder()
  }

  /// The names of the files in the folder.
  var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
  }

  /// The events of the newest run by the kind and name of their source, in their order.
  func events() throws -> [String: [RecordedEvent]] {
    let reader = try LogReader(path: path)
    let run = try reader.runs(matching: "latest")[0]
    var events: [String: [RecordedEvent]] = [:]
    for info in try reader.sources(of: run) {
      let cursor = try reader.events(of: info)
      let name = "\(info.source.kind) \(info.source.name)"
      while let event = try cursor.nextEvent() { events[name, default: []].append(event) }
    }
    return events
  }
}
