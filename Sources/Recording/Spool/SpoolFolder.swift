import BrokerMessages
import CSupport
import Glibc
import LogFormat

/// The content of a dead recorder's folder.
struct SpoolFolder {
  let mappings: [UInt32: Mapping]
  private let controls: [ControlFile]

  /// - Throws: `FolderListing.Failure`: what the folder holds is unknown.
  init(_ folder: String) throws(FolderListing.Failure) {
    var mappings: [UInt32: Mapping] = [:]
    for name in try FolderListing.names(folder) {
      guard let number = UInt32(name), let mapping = try? Mapping.existing("\(folder)/\(name)")
      else { continue }
      // A segment that was being created when the process died holds nothing.
      if mapping.word(at: 0).pointee == SpoolLayout.magic {
        mappings[number] = mapping
      } else {
        mapping.unmap()
      }
    }
    self.mappings = mappings
    // In order; after a damaged file it is unknown whose words the others hold.
    var controls: [ControlFile] = []
    while let next = ControlFile(existing: Spool.control(folder, controls.count)) {
      controls.append(next)
    }
    self.controls = controls
  }

  func unmap() {
    for mapping in mappings.values { mapping.unmap() }
  }

  var first: SpoolPosition {
    SpoolPosition(segment: mappings.keys.min() ?? 1, offset: SpoolLayout.headerSize)
  }

  var end: SpoolPosition {
    guard let last = mappings.keys.max(), let mapping = mappings[last] else { return first }
    return SpoolPosition(segment: last, offset: mapping.size)
  }

  /// The last source_seq of each source.
  var lastSourceSeqs: [(source: Int, last: Int64)] { ControlFile.lastSourceSeqs(controls) }

  /// Whether the segments of a folder hold any record, or may hold one.
  static func hasRecords(_ path: String) -> Bool {
    guard let folder = try? SpoolFolder(path) else { return true }
    defer { folder.unmap() }
    var reader = SpoolReader(from: folder.first) { folder.mappings[$0] }
    while true {
      switch reader.next(before: folder.end) {
      case .record: return true
      case .hole: reader.skip(to: folder.end)
      case .end: return false
      }
    }
  }

  /// Removes the files of a spool, except the lock, which belongs to its holder.
  static func removeFiles(_ folder: String) {
    for name in (try? FolderListing.names(folder)) ?? []
    where UInt32(name) != nil || name.hasPrefix("control") || name.hasPrefix("spare.") {
      unlink("\(folder)/\(name)")
    }
    EndMark.remove(from: folder)
    RecorderStatus.remove(from: folder)
  }
}
