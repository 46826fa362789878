import CSupport

/// The progress of 4,096 sources: for each, the source_seq of its last event whose hook has
/// returned.
final class ControlFile: @unchecked Sendable {
  // The mapping never changes; its words are written atomically, each by one source.
  private let mapping: Mapping

  /// - Throws: `SpoolError`.
  init(creating path: String) throws(SpoolError) {
    let size = SpoolLayout.headerSize + SpoolLayout.slotSize * SpoolLayout.slotsInControl
    mapping = try Mapping.create(path, size: size)
    tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
  }

  /// The control file of a dead recorder; `nil` if it is damaged.
  init?(existing path: String) {
    guard let mapping = try? Mapping.existing(path) else { return nil }
    guard mapping.word(at: 0).pointee == SpoolLayout.magic else {
      mapping.unmap()
      return nil
    }
    self.mapping = mapping
  }

  deinit {
    mapping.unmap()
  }

  /// Stores a word of the header.
  func store(_ word: UInt64, at offset: Int) {
    tl_store_release(mapping.word(at: offset), word)
  }

  /// The word of a source; `nil` if its index is beyond this file.
  func slot(_ source: Int) -> UnsafeMutablePointer<UInt64>? {
    let offset = SpoolLayout.headerSize + source * SpoolLayout.slotSize
    guard source >= 0, offset + 8 <= mapping.size else { return nil }
    return mapping.word(at: offset)
  }

  /// The last source_seq of each source that has recorded anything, in the order of the sources. An
  /// implausible value means damage and is skipped.
  static func lastSourceSeqs(_ files: [ControlFile]) -> [(source: Int, last: Int64)] {
    var result: [(Int, Int64)] = []
    for (fileIndex, file) in files.enumerated() {
      for slotIndex in 0..<SpoolLayout.slotsInControl {
        guard let slot = file.slot(slotIndex) else { break }
        let last = Int64(bitPattern: tl_load_acquire(slot))
        guard last > 0, last < 1 << 48 else { continue }
        result.append((fileIndex * SpoolLayout.slotsInControl + slotIndex, last))
      }
    }
    return result
  }
}
