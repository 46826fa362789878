import Foundation
import LogFormat
import TaskLogPlugin
import TestSupport
import Testing

@testable import EventLog

/// Patterns have the same meaning in Swift, in SQL and, by `test_globs.py`, in Python.
@Suite struct GlobTests {
  struct Case: Decodable, Sendable {
    var pattern: String
    var ignoresCase: Bool?
    var matches: [String]
    var others: [String]

    enum CodingKeys: String, CodingKey {
      case pattern
      case ignoresCase = "ignores_case"
      case matches, others
    }
  }

  private static func cases() throws -> [Case] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "Python/globs.json")
    return try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
  }

  /// Evaluates the SQL of filters.
  private struct Database {
    private let folder: TemporaryFolder
    private let connection: Connection

    init() throws {
      folder = try TemporaryFolder()
      try Files.write([], to: folder("empty.db"))
      connection = try Connection(path: folder("empty.db"), mode: .readWrite)
    }

    /// Whether a filter with this pattern finds a name.
    func finds(_ name: String, by pattern: String) throws -> Bool {
      let (condition, parameters) = FilterSQL.text("text", is: pattern)
      let select = try connection.prepare("SELECT \(condition) FROM (SELECT ?9 AS text)")
      for (index, parameter) in parameters.enumerated() {
        guard case .text(let text) = parameter else { continue }
        try select.bind(Int32(index + 1), text)
      }
      try select.bind(9, name)
      #expect(try select.step())
      return select.integer(0) == 1
    }
  }

  @Test func `each case of the table matches as documented`() throws {
    let database = try Database()
    let cases = try Self.cases()
    #expect(cases.count > 30)
    for one in cases {
      let ignoresCase = one.ignoresCase ?? false
      let glob = Glob(one.pattern, ignoresCase: ignoresCase)
      for (names, isMatch) in [(one.matches, true), (one.others, false)] {
        for name in names {
          #expect(glob.matches(name) == isMatch, "\(one.pattern) \(name)")
          guard !ignoresCase else { continue }
          #expect(KeyPattern(one.pattern).matches(Key(name)) == isMatch, "\(one.pattern) \(name)")
          #expect(
            try database.finds(name, by: one.pattern) == isMatch,
            "\(one.pattern) \(name)")
        }
      }
    }
  }

  @Test func `SQL finds what Swift matches`() throws {
    let database = try Database()
    var random = Randomness.generator(91)
    let letters = Array("ab-]^![*?é")
    func text(_ count: Int) -> String {
      String((0..<random.below(count)).map { _ in random.pick(letters) })
    }
    var matches = 0
    for _ in 0..<Randomness.count * 4 {
      let (pattern, name) = (text(9), text(4))
      let isMatch = Glob(pattern).matches(name)
      matches += isMatch ? 1 : 0
      #expect(try database.finds(name, by: pattern) == isMatch, "\(pattern) \(name)")
    }
    #expect(matches > Randomness.count / 20)
  }
}
