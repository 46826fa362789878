import Foundation
import TestSupport

/// A folder for the demo, with everything that folders of people contain, and the counts that are
/// known because the test wrote the words.
struct DemoFolder {
  let folder: TemporaryFolder
  /// The files that the demo is expected to read.
  private(set) var files = 0
  /// Those of them that are not UTF-8 text, or that cannot be read.
  private(set) var bad: Set<String> = []
  private(set) var counts: [String: Int] = [:]

  private var random = SplitMix64(seed: 2026)

  private static let words =
    (0..<40).map { "word\($0)" } + ["über", "Straße", "тест", "漢字", "naïve", "x2", "The", "THE"]

  init(files wanted: Int = 300) throws {
    folder = try TemporaryFolder()
    let folders = ["", "a/", "a/b/", "a/b/c d/", "ünï/", "z/"]
    for name in folders where !name.isEmpty { try folder.makeFolder(name) }
    let odd = [
      "with space.txt", "quo\"te.txt", "quo'te.txt", "new\nline.txt", "esc\u{1B}[31m.txt",
      "tab\there.txt", "漢字 😀.txt", "e\u{301}.txt", "\u{E9}.txt", "back\\slash.txt", "$HOME.txt",
      "*.txt", "--help", "a,b;c.csv", "bidi\u{202E}txt.exe",
    ]
    for number in 0..<wanted {
      let place = folders[number % folders.count]
      let name = place + (number < odd.count ? odd[number] : "file\(number).txt")
      if number % 10 == 7 {
        try addBinary(name)
      } else {
        try addText(name, words: number == 20 ? 0 : random.below(120) + 1)
      }
    }
    try addHidden()
    try FileManager.default.createSymbolicLink(
      atPath: folder("link.txt"), withDestinationPath: folder("a/file19.txt"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("z/loop"), withDestinationPath: folder.path)
    if geteuid() != 0 { try addUnreadable() }
  }

  /// The most frequent words; equally frequent ones in the order of their text.
  var top: [String] {
    counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }
      .prefix(20).map { "\($0.key) \($0.value)" }
  }

  private mutating func addText(_ name: String, words: Int) throws {
    var text = ""
    for _ in 0..<words {
      let word = Self.words[random.below(Self.words.count * 2) % Self.words.count]
      counts[word.lowercased(), default: 0] += 1
      text += word + [" ", "\n", ", ", "--", "\t(", ") ", "\r\n"][random.below(7)]
    }
    try folder.write(name, text)
    files += 1
  }

  private mutating func addBinary(_ name: String) throws {
    var bytes = (0..<200).map { _ in UInt8(random.below(256)) }
    // One kind contains a NUL, one is not UTF-8.
    bytes[100] = random.below(2) == 0 ? 0 : 0xFF
    try folder.write(name, bytes)
    files += 1
    bad.insert(name)
  }

  private func addHidden() throws {
    try folder.write(".hidden.txt", "secret secret")
    try folder.makeFolder(".git/objects")
    try folder.write(".git/objects/x.txt", "secret secret")
    try folder.write("a/.hidden", "secret")
  }

  private mutating func addUnreadable() throws {
    try folder.write("unreadable.txt", "secret")
    try FileManager.default.setAttributes(
      [.posixPermissions: 0], ofItemAtPath: folder("unreadable.txt"))
    files += 1
    bad.insert("unreadable.txt")
  }
}
