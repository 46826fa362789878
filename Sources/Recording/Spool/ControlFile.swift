import CSupport

/// How far each of 4,096 sources has come: the number of its last event whose hook has returned.
final class ControlFile: @unchecked Sendable {
  // The mapping never changes; its words are written atomically, each by one source.
  private let mapping: Mapping

  /// - Throws: `SpoolError`.
  init(creating path: String) throws(SpoolError) {
    let size = SpoolLayout.headerSize + SpoolLayout.slotSize * SpoolLayout.slotsInControl
    mapping = try Mapping.create(path, size: size)
    tl_store_release(mapping.word(at: 0), SpoolLayout.magic)
  }

  /// One that a dead recorder has left; nothing when it is damaged.
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

  /// The word of a source; nothing for one beyond those that there is room for.
  func slot(_ source: Int) -> UnsafeMutablePointer<UInt64>? {
    let offset = SpoolLayout.headerSize + source * SpoolLayout.slotSize
    guard source >= 0, offset + 8 <= mapping.size else { return nil }
    return mapping.word(at: offset)
  }

  /// How far each source has come that has sent anything, in the order of their numbers. A number
  /// that can be no count of events is damage, and left out.
  static func lastSourceSeqs(_ files: [ControlFile]) -> [(source: Int, last: Int64)] {
    var found: [(Int, Int64)] = []
    for (number, file) in files.enumerated() {
      for place in 0..<SpoolLayout.slotsInControl {
        guard let slot = file.slot(place) else { break }
        let last = Int64(bitPattern: tl_load_acquire(slot))
        guard last > 0, last < 1 << 48 else { continue }
        found.append((number * SpoolLayout.slotsInControl + place, last))
      }
    }
    return found
  }
}
