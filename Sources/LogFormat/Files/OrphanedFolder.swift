/// The folder of a recorder that no longer exists.
package enum OrphanedFolder {
  /// Whether the folder contains no events, only its lock and what its recorder told: it was created and never used, or its removal was
  /// interrupted.
  package static func isEmpty(_ folder: String) -> Bool {
    guard let names = try? FolderListing.names(folder) else { return false }
    return names.allSatisfy { $0 == "lock" || RecorderStatus.isName($0) }
  }
}
