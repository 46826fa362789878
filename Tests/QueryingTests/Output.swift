import Querying

/// A report for people, not a plugin's.
typealias Report = Querying.Report

/// Collects written text.
final class Output {
  private var bytes: [UInt8] = []

  func write(_ more: [UInt8]) { bytes += more }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  var lines: [String] { text.split(whereSeparator: \.isNewline).map(String.init) }
}
