import EventLog
import Glibc
import LogFormat
import TaskLogPlugin

/// The checkpoints of one run and one set of plugins, as files in a cache.
///
/// A file is a line with the hash of the rest, followed by the checkpoint as JSON. Its name
/// consists of the log, the run, the plugins and the number of the event, and is given by renaming a
/// complete file. The name is in the file, too, so that a file that was copied to another name is not
/// used. Unusable files are skipped: a cache may always be deleted.
struct CheckpointStore {
  /// The number of checkpoints kept for a run and set of plugins.
  private static let limit = 4
  /// The number of checkpoints kept in total.
  private static let totalLimit = 300

  private let folder: String
  private let stem: String

  /// - Parameters:
  ///   - folder: exists and is private to the user.
  ///   - log: the identity of the log; 0 if it has none.
  ///   - plugins: a text that differs if the plugins' code or options do.
  init(folder: String, log: UInt64, run: RunInfo, plugins: String) {
    self.folder = folder
    // The run ID of an untrusted log may be any text, so it is hashed.
    stem = SHA256.hash(Array("\(log)\n\(run.id)\n\(plugins)".utf8)).prefix(32) + "-"
  }

  /// The event positions of the existing checkpoints, the latest first.
  func positions() -> [Int64] {
    names(beginningWith: stem).compactMap { Int64($0.dropFirst(stem.utf8.count)) }.sorted(by: >)
  }

  func path(_ position: Int64) -> String { "\(folder)/\(name(position))" }

  private func name(_ position: Int64) -> String { "\(stem)\(position)" }

  /// `nil` if the file is damaged or has another version.
  func read(_ position: Int64) -> Checkpoint? {
    guard let content = CacheFile.read(path(position)), let end = content.firstIndex(of: 0x0A)
    else {
      return nil
    }
    let body = Array(content[(end + 1)...])
    guard String(decoding: content[..<end], as: UTF8.self) == SHA256.hash(body),
      let value = try? JSONReader.value(String(decoding: body, as: UTF8.self)),
      value["name"]?.string == name(position), let content = value["checkpoint"],
      let checkpoint = Checkpoint(content), checkpoint.place.position == position
    else { return nil }
    return checkpoint
  }

  /// - Returns: the reason of a failure, or `nil`.
  func write(_ checkpoint: Checkpoint) -> String? {
    let named = Value.object([
      "name": .string(name(checkpoint.place.position)), "checkpoint": checkpoint.value,
    ])
    let body = Array(JSONWriter.text(named).utf8)
    let content = Array(SHA256.hash(body).utf8) + [0x0A] + body
    let file = CacheFile.Writer(path(checkpoint.place.position))
    // Else another replay is saving the same checkpoint.
    guard !file.isBusy else { return nil }
    file.write(content)
    guard file.finish() else { return file.reason }
    removeOld()
    return nil
  }

  func remove(_ position: Int64) { unlink(path(position)) }

  private func removeOld() {
    CacheFile.removeUnfinished(in: folder)
    var positions = positions()
    while positions.count > Self.limit { remove(positions.remove(at: Self.dispensable(positions))) }
    let all = names(beginningWith: "")
    guard all.count > Self.totalLimit else { return }
    let byAge = all.map { name -> (name: String, time: Int) in
      var status = stat()
      stat("\(folder)/\(name)", &status)
      return (name, status.st_mtim.tv_sec)
    }.sorted { $0.time < $1.time }
    for (name, _) in byAge.prefix(all.count - Self.totalLimit) { unlink("\(folder)/\(name)") }
  }

  /// The index of the least useful of some positions, sorted from the last. Checkpoints thin out
  /// towards the beginning, and never include the last one, since late events may invalidate the
  /// latest checkpoints.
  static func dispensable(_ positions: [Int64]) -> Int {
    guard let last = positions.first else { return 0 }
    /// The additional distance to replay without the checkpoint, relative to its distance from the
    /// last.
    func loss(_ index: Int) -> Double {
      let before = index + 1 < positions.count ? positions[index + 1] : 0
      return Double(positions[index - 1] - before) / Double(max(1, last - before))
    }
    return positions.indices.dropFirst().min { loss($0) < loss($1) } ?? 0
  }

  private func names(beginningWith start: String) -> [String] {
    let names = (try? FolderListing.names(folder)) ?? []
    return names.filter { $0.hasPrefix(start) && !$0.hasPrefix(".") }
  }
}
