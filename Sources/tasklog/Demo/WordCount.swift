import Glibc
import Scheduling
import TaskLogPlugin

/// The demo's job: word frequencies over files.
enum WordCount {
  struct Word: Sendable {
    var word: String
    var count: Int
  }

  struct Result {
    var top: [Word]
    /// Files whose task failed.
    var failed: Int
  }

  /// The reason why a file cannot be counted.
  enum Problem: Error, CustomStringConvertible {
    case unreadable(String, reason: String)
    case notText(String)

    var description: String {
      switch self {
      case .unreadable(let path, let reason): "\(path) cannot be read: \(reason)"
      case .notText(let path): "\(path) is not UTF-8 text"
      }
    }
  }

  /// The number of counts that one task merges.
  private static let fanIn = 8

  static func run(
    _ files: [FoundFile], below folder: String, on client: Client
  ) async throws -> Result {
    let counts = client.map("count", files, keys: files.map(key)) { file in
      try count(FileFinder.fullPath(folder, file.path), name: file.name)
    }
    var good: [Future<[String: Int]>] = []
    for future in counts {
      do {
        try await future.wait()
        good.append(future)
      } catch is TaskError {
        // The error logger reports the file.
      }
    }
    let failed = counts.count - good.count
    var level = 0
    while good.count > 1 {
      level += 1
      var merged: [Future<[String: Int]>] = []
      for start in stride(from: 0, to: good.count, by: fanIn) {
        let part = Array(good[start..<min(start + fanIn, good.count)])
        let key = Key("merge-\(level)", start / fanIn)
        merged.append(client.submit("merge", all: part, key: key) { merge($0) })
      }
      good = merged
    }
    guard let all = good.first else { return Result(top: [], failed: failed) }
    let top = client.submit("top", all, key: "top-20") { counts in
      counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }
        .prefix(20).map { Word(word: $0.key, count: $0.value) }
    }
    return Result(top: try await top.result(), failed: failed)
  }

  /// `('count', 'a.txt')`. A name that is not UTF-8 becomes the same text as in Python, with
  /// invalid bytes as lone surrogates (PEP 383), so that no two files share a key.
  static func key(_ file: FoundFile) -> Key {
    if let name = String(validating: file.path, as: UTF8.self) { return Key("count", name) }
    var wtf8: [UInt8] = []
    var rest = file.path[...]
    while let byte = rest.first {
      let length = (1...4).first { String(validating: rest.prefix($0), as: UTF8.self) != nil }
      if let length {
        wtf8 += rest.prefix(length)
        rest = rest.dropFirst(length)
      } else {
        // U+DC80 to U+DCFF
        wtf8 += [0xED, 0xB0 | byte >> 6 & 0x0F, 0x80 | byte & 0x3F]
        rest = rest.dropFirst()
      }
    }
    return Key(.tuple([.string("count"), .wtf8(wtf8)])) ?? Key("count", file.name)
  }

  private static func merge(_ counts: [[String: Int]]) -> [String: Int] {
    counts.dropFirst().reduce(into: counts.first ?? [:]) { sum, count in
      sum.merge(count) { $0 + $1 }
    }
  }

  /// How often each word occurs in a file, in lower case. A word is a run of letters and digits.
  private static func count(_ path: [CChar], name: String) throws -> [String: Int] {
    let bytes = try read(path, name)
    guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
      throw Problem.notText(name)
    }
    var counts: [String: Int] = [:]
    for word in text.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
      counts[String(word), default: 0] += 1
    }
    return counts
  }

  private static func read(_ path: [CChar], _ name: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Problem.unreadable(name, reason: String(cString: strerror(errno)))
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count == 0 { return bytes }
      guard count > 0 else {
        throw Problem.unreadable(name, reason: String(cString: strerror(errno)))
      }
      bytes += piece[..<count]
    }
  }
}
