import CReportPage
import EventLog
import LogAnalysis
import TaskLogPlugin

/// Writes an HTML page about a run. The page needs no network, and contains its data.
package enum ReportPage {
  /// The default size limit in bytes, so that a page can be mailed and opened. A larger page omits
  /// details, and reports that.
  package static let sizeLimit = 60_000_000

  /// What happened to a task and why.
  package struct Sentence: Sendable {
    /// Counted from 1 for each time that the task was sent to a worker; 0 before the first one.
    package var attempt: Int64
    /// In nanoseconds since 1970 UTC.
    package var time: Int64
    package var text: String

    package init(attempt: Int64, time: Int64, text: String) {
      (self.attempt, self.time, self.text) = (attempt, time, text)
    }
  }

  /// Makes what gives the sentences about a task of a run, by the row ID of its key.
  package typealias Explain = (_ run: RunInfo) throws -> (_ key: Int64) throws -> [Sentence]

  /// Runs that are shown together as one.
  package struct Side {
    package var reader: LogReader
    package var runs: [RunInfo]
    /// The name to show in the page.
    package var name: String
    /// The parts of the runs to show.
    package var scopes: RunScopes
    /// How much of the runs is shown, in one line each.
    package var shares: [String]
    /// What the stories of failed and slow tasks begin with.
    package var explain: Explain

    package init(
      reader: LogReader, runs: [RunInfo], name: String, scopes: RunScopes = RunScopes(),
      shares: [String] = [], explain: @escaping Explain = { _ in { _ in [] } }
    ) {
      self.explain = explain
      self.scopes = scopes
      self.shares = shares
      self.reader = reader
      self.runs = runs
      self.name = name
    }
  }

  /// The counts of a written page.
  package struct Result: Sendable {
    package var bytes = 0
    package var tasks = 0
    package var spans = 0
    package var shortenedKeys = 0
    package var omittedEvents = 0
  }

  /// - Parameters:
  ///   - sides: one side, or two to compare.
  ///   - version: the version of the program, to show.
  ///   - limit: the size above which details are omitted, in bytes.
  ///   - show: called with the number of events read.
  /// - Throws: `LogError`, `ReportingError`.
  package static func write(
    _ sides: [Side], to path: String, version: String, limit: Int = sizeLimit,
    show: (Int64) -> Void = { _ in }
  ) throws -> Result {
    // Opened first, so that an invalid path fails before the events are read.
    let file = try OutputFile(path: path)
    var before: Int64 = 0
    var data: [PageData] = []
    for side in sides {
      var scan = try PageScan(side.reader, side.runs, side.scopes)
      for run in side.runs {
        let read = before + scan.readCount
        try scan.scan(run) { show(read + $0) }
        show(before + scan.readCount)
      }
      try scan.addExplanations(side.explain)
      before += scan.readCount
      data.append(try PageData(scan))
    }
    for detail in PageData.Detail.allCases {
      for side in data.indices { try data[side].make(detail) }
      if data.reduce(0, { $0 + $1.size }) + assetSize < limit { break }
    }
    try write(data, sides, version: version, to: file)
    try file.commit()
    var result = Result(bytes: file.count)
    for side in data {
      result.tasks += side.taskCount
      result.spans += side.spanCount
      result.shortenedKeys += side.shortenedKeys
      result.omittedEvents += side.omittedEvents
    }
    return result
  }

  private static func write(
    _ text: String, _ type: String, _ id: String, to file: OutputFile
  ) throws {
    try file.write("<script type=\"\(type)\" id=\"\(id)\">")
    try file.write(text)
    try file.write("</script>\n")
  }

  // MARK: - The file

  private struct Asset: @unchecked Sendable {
    var name: String
    /// Constant while the program runs.
    var bytes: UnsafeBufferPointer<UInt8>
  }

  private static let assets: [Asset] = {
    (0..<tl_page_asset_count()).map { index in
      let asset = tl_page_asset(index)
      return Asset(
        name: String(cString: asset.name),
        bytes: UnsafeBufferPointer(start: asset.bytes, count: asset.count))
    }
  }()

  private static let assetSize = assets.reduce(0) { $0 + $1.bytes.count }

  /// The frame is a page with placeholders: `<!-- style -->`, `<!-- shares -->`, `<!-- data -->`,
  /// `<!-- script -->`.
  private static func write(
    _ data: [PageData], _ sides: [Side], version: String, to file: OutputFile
  ) throws {
    let frame = String(decoding: assets[0].bytes, as: UTF8.self)
    for (index, piece) in frame.split(separator: "<!-- ").enumerated() {
      if index == 0 {
        try file.write(String(piece))
        continue
      }
      let parts = piece.split(separator: " -->", maxSplits: 1)
      switch parts[0] {
      case "style": try file.write("<style>\n" + text(of: ".css").joined() + "</style>\n")
      case "script": try file.write("<script>\n" + script + "</script>\n")
      case "shares": try file.write(shares(of: sides))
      case "data": try write(data, sides.map(\.name), version, to: file)
      default: break
      }
      if parts.count > 1 { try file.write(String(parts[1])) }
    }
  }

  /// The lines about how much of the runs is shown.
  private static func shares(of sides: [Side]) -> String {
    zip(sides, ["A: ", "B: "]).flatMap { side, letter in
      side.shares.map {
        "<p class=\"notice\">\(escaped((sides.count > 1 ? letter : "") + $0))</p>\n  "
      }
    }.joined()
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  private static func text(of kind: String) -> [String] {
    assets.filter { $0.name.hasSuffix(kind) }.map { String(decoding: $0.bytes, as: UTF8.self) }
  }

  private static var script: String {
    var script = PageScript()
    for module in text(of: ".js") { script.append(module: module) }
    script.finish()
    return script.text
  }

  private static func write(
    _ data: [PageData], _ names: [String], _ version: String, to file: OutputFile
  ) throws {
    let about = Value.object([
      "version": .string(version), "names": .list(names.map(Value.string)),
    ])
    try write(
      JSONWriter.text(about).replacing("<", with: "\\u003c"), "application/json", "about", to: file)
    for (index, side) in data.enumerated() {
      try write(side.document, "application/json", "document-\(index)", to: file)
      for column in side.columns {
        try file.write("<script type=\"text/plain\" id=\"\(column.name)-\(index)\">")
        var start = 0
        while start < column.compressed.count {
          // A multiple of three, so that only the last piece is padded.
          let end = min(column.compressed.count, start + 3 << 15)
          try file.write(Base64.encode(column.compressed[start..<end]))
          start = end
        }
        try file.write("</script>\n")
      }
    }
  }
}
