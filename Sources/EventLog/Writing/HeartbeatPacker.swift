import LogFormat
import TaskLogPlugin

/// Packs the heartbeats that are inserted into a log, and chooses their templates.
///
/// A heartbeat becomes a template when a similar one is seen for the second time: the shapes of
/// heartbeats of busy workers may never occur again. Belongs to one `EventInserter`; used inside
/// its transactions.
final class HeartbeatPacker {
  private struct Template {
    var text: HeartbeatText
    var name: [UInt8]
    var uses = 0
  }

  private static let templateLimit = 16
  private static let seenLimit = 64
  private static let longest = 1 << 16
  /// A template is outdated if other heartbeats differ from it by more bytes than this.
  private static let patience = 96
  /// An outdated template is kept for at least this many heartbeats.
  private static let minimumUses = 256
  /// Fields that `inspect` and `check` search for stay unpacked.
  private static let markers = [Array("\"$opaque\"".utf8), Array("\"$capped\"".utf8)]

  private let blobs: BlobInterner
  private let find: Statement
  /// The most recently used one first.
  private var templates: [Template] = []
  private var seen: [UInt64] = []

  /// - Throws: `SQLiteError`.
  init(_ connection: Connection, _ blobs: BlobInterner) throws {
    self.blobs = blobs
    find = try connection.prepare(LogBlobs.selectByPrefix)
  }

  /// Called when inserted rows were rolled back or may have been pruned.
  func forgetAll() {
    templates.removeAll()
    seen.removeAll()
  }

  /// The packed args; `nil` if they are to be stored unpacked.
  ///
  /// - Throws: `SQLiteError`.
  func pack(_ json: [UInt8], time: Int64) throws -> [UInt8]? {
    guard json.count > 2, json.count < Self.longest, json.first == UInt8(ascii: "{"),
      !Self.markers.contains(where: { json.contains($0) })
    else { return nil }
    let text = HeartbeatText(json)
    let place =
      templates.firstIndex { $0.text.skeleton == text.skeleton }
      ?? templates.firstIndex { $0.text.outline == text.outline }
    var packed: [UInt8]?
    if let place {
      templates[place].uses += 1
      packed = verified(text, templates[place], time)
      let isSame = templates[place].text.skeleton == text.skeleton
      let isOld = templates[place].uses > Self.minimumUses
      templates.swapAt(0, place)
      if let packed, packed.count <= Self.patience || isSame && !isOld { return quoted(packed) }
      if !isSame, !wasSeen(text.skeleton) { return packed.map(quoted) }
    } else if !templates.isEmpty, !wasSeen(text.skeleton) {
      return nil
    }
    guard let made = try makeTemplate(of: text) else { return packed.map(quoted) }
    return verified(text, made, time).map(quoted)
  }

  private func verified(_ text: HeartbeatText, _ template: Template, _ time: Int64) -> [UInt8]? {
    let packed = PackedHeartbeat.pack(
      text, template: template.text, name: template.name, time: time)
    guard let packed, packed.count < text.bytes.count / 2,
      PackedHeartbeat.unpack(packed, template: template.text, time: time) == text.bytes
    else { return nil }
    return packed
  }

  private func quoted(_ packed: [UInt8]) -> [UInt8] {
    var text = [UInt8(ascii: "\"")]
    Base64.append(packed, to: &text)
    text.append(UInt8(ascii: "\""))
    return text
  }

  private func wasSeen(_ skeleton: UInt64) -> Bool {
    if seen.contains(skeleton) { return true }
    if seen.count == Self.seenLimit { seen.removeFirst() }
    seen.append(skeleton)
    return false
  }

  /// - Returns: `nil` if other bytes have the same name.
  private func makeTemplate(of text: HeartbeatText) throws -> Template? {
    let hash = try text.bytes.withUnsafeBytes { try blobs.intern($0) }
    let digits = Array(hash.utf8.prefix(PackedHeartbeat.nameLength * 2))
    let prefix = String(decoding: digits, as: UTF8.self)
    defer { find.reset() }
    try find.bind(1, prefix)
    guard try find.step(), find.text(0).sameBytes(as: hash), try !find.step() else { return nil }
    let name = stride(from: 0, to: digits.count, by: 2).compactMap {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
    }
    let template = Template(text: text, name: name)
    if templates.count == Self.templateLimit { templates.removeLast() }
    templates.insert(template, at: 0)
    return template
  }
}
