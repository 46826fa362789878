import Glibc

/// The names of logs with one file per run: `logs/{run}.db`. The segments of a rotated run have
/// `{run}.2`, `{run}.3`, … in their names.
package enum LogTemplate {
  static let mark = "{run}"

  /// A log that matches such a template.
  package struct File: Sendable, Equatable {
    package var path: String
    package var run: String
    /// 1 for the first segment of a run.
    package var part: Int
  }

  package static func isTemplate(_ path: String) -> Bool { path.contains(mark) }

  /// Whether `{run}` is in the name of the file, once, and not in that of a folder.
  package static func isUsable(_ path: String) -> Bool {
    path.lastPathComponent.contains(mark) && parts(of: path) != nil
  }

  /// The path of a run's log.
  package static func path(_ template: String, run: String, part: Int = 1) -> String {
    guard let (head, tail) = parts(of: template) else { return template }
    return head + run + (part > 1 ? ".\(part)" : "") + tail
  }

  /// The existing logs, the oldest run first, the segments of a run in their order.
  package static func files(_ template: String) -> [File] {
    guard let (head, tail) = parts(of: template.lastPathComponent) else { return [] }
    var files: [File] = []
    for name in (try? FolderListing.names(template.parentFolder)) ?? [] {
      guard name.hasPrefix(head), name.hasSuffix(tail), name.count >= head.count + tail.count
      else { continue }
      let middle = name.dropFirst(head.count).dropLast(tail.count)
      let fields = middle.split(separator: ".", omittingEmptySubsequences: false)
      guard let run = fields.first, isRun(run), fields.count <= 2 else { continue }
      let part = fields.count == 1 ? 1 : Int(fields[1]) ?? 0
      guard part > 0, fields.count == 1 || part > 1 else { continue }
      files.append(File(path: template.sibling(name), run: String(run), part: part))
    }
    // Ids of runs sort by the time at which the runs began.
    return files.sorted { ($0.run, $0.part) < ($1.run, $1.part) }
  }

  /// The last log of the newest run; any other path is returned unchanged.
  package static func newest(_ path: String) -> String {
    guard isTemplate(path) else { return path }
    let files = files(path)
    // A file that is just being created is still empty.
    let last = files.last { file in
      var status = stat()
      return stat(file.path, &status) == 0 && status.st_size > 0
    }
    return (last ?? files.last)?.path ?? path
  }

  /// All logs that match a path.
  package static func all(_ path: String) -> [String] {
    guard isTemplate(path) else { return [path] }
    let files = files(path).map(\.path)
    return files.isEmpty ? [path] : files
  }

  /// The template that gives a file its name; `nil` if the ID of a run is not in the name.
  package static func of(_ path: String) -> String? {
    let name = path.lastPathComponent
    var start = name.startIndex
    while let end = name.index(start, offsetBy: 36, limitedBy: name.endIndex) {
      if isRun(name[start..<end]) {
        var tail = name[end...]
        // The number of a segment.
        let digits = tail.dropFirst().prefix { $0.isASCII && $0.isNumber }
        if tail.first == ".", !digits.isEmpty { tail = tail[digits.endIndex...] }
        let template = path.sibling(name[..<start] + mark + tail)
        return isUsable(template) ? template : nil
      }
      start = name.index(after: start)
    }
    return nil
  }

  /// Creates the folder of the logs of all runs, private to its owner.
  package static func makeFolder(_ template: String) { mkdir(template.parentFolder, 0o700) }

  /// Whether a text has the form of a UUID, in lower case.
  private static func isRun(_ text: Substring) -> Bool {
    text.utf8.count == 36
      && text.utf8.enumerated().allSatisfy { index, byte in
        [8, 13, 18, 23].contains(index)
          ? byte == UInt8(ascii: "-")
          : (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
      }
  }

  private static func parts(of text: String) -> (head: String, tail: String)? {
    let parts = text.split(separator: mark, omittingEmptySubsequences: false)
    return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
  }
}
