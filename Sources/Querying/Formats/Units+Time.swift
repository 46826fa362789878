import LogFormat

extension Units {
  /// A time to the millisecond, in UTC: `2026-11-23 07:01:04.225`.
  ///
  /// - Parameter iso: as `Timestamp.iso`; other text is returned unchanged.
  package static func time(_ iso: String) -> String {
    guard isTime(iso) else { return iso }
    return iso.prefix(10) + " " + iso.dropFirst(11).prefix(12)
  }

  /// A time to the second, in UTC: `2026-11-23 07:01:04`.
  package static func second(_ nanoseconds: Int64) -> String {
    String(time(Timestamp.iso(nanoseconds)).prefix(19))
  }

  /// The time of day to the millisecond, in UTC: `07:01:04.225`.
  package static func timeOfDay(_ nanoseconds: Int64) -> String {
    String(time(Timestamp.iso(nanoseconds)).dropFirst(11))
  }

  /// Whether a text is a time as `Timestamp.iso` writes it.
  static func isTime(_ text: String) -> Bool {
    let bytes = Array(text.utf8.prefix(28))
    return bytes.count == 27 && bytes[4] == 0x2D && bytes[10] == 0x54 && bytes[13] == 0x3A
      && bytes[19] == 0x2E && bytes[26] == 0x5A
  }
}
