import Foundation
import TestSupport
import TestTraits
import Testing

/// `tasklog anonymize`: what it prints, and what it refuses.
@Suite(.exclusive(.commands)) struct AnonymizeCommandTests {
  private static func lines(_ arguments: String..., folder: TemporaryFolder) throws -> [String] {
    let result = try Command.run(
      ["anonymize", "--log", RecordedDemo.log] + arguments, folder: folder.url)
    #expect(result.code == 0, "\(result.errors)")
    return result.lines
  }

  @Test func `it prints what it replaced, removed and kept`() throws {
    let folder = try TemporaryFolder()
    let lines = try Self.lines("-o", "bug.db", folder: folder)
    #expect(lines.count == 4)
    #expect(lines[0].wholeMatch(of: /bug\.db: 1 run, \d+ events/) != nil)
    #expect(lines[1].wholeMatch(of: /replaced: \d+ keys, .*\d+ other names/) != nil)
    #expect(lines[2].hasPrefix("removed: "))
    #expect(lines[3] == "kept: order, times, sizes, numbers, states, versions")
    let kept = try Self.lines(
      "latest", "-o", "named.db", "--keep", "exceptions,keys", folder: folder)
    #expect(kept[1].wholeMatch(of: /replaced: \d+ other names/) != nil)
    #expect(kept[3] == "kept: keys, exceptions, order, times, sizes, numbers, states, versions")
  }

  @Test func `a copy can be copied, and says the same`() throws {
    let folder = try TemporaryFolder()
    _ = try Self.lines("-o", "bug.db", folder: folder)
    let again = try Command.run(["anonymize", "--log", "bug.db", "-o", "2.db"], folder: folder.url)
    #expect(again.code == 0, "\(again.errors)")
    let sql = "SELECT state, count(*), sum(nbytes) FROM tasks GROUP BY state"
    let found = try ["bug.db", "2.db", RecordedDemo.log].map {
      try Command.run(["query", sql, "--log", $0], folder: folder.url).output
    }
    #expect(Set(found).count == 1 && !found[0].isEmpty)
  }

  @Test(
    arguments: [
      (
        ["-o", "new.db", "--keep", "hosts"], 64, "unknown kind of names; kinds are keys, exceptions"
      ),
      (["-o", "new.db", "--keep", ""], 64, "--keep '': unknown kind"),
      (["-o", "{run}.db"], 64, "the copy is one file"),
      (["latest", "--run", "#1", "-o", "new.db"], 64, "name the run once"),
      ([], 64, "-o"), (["#9", "-o", "new.db"], 1, "has no run '#9'"),
      (["-o", "taken.db"], 1, "taken.db: cannot be written: it exists already; name a new file"),
      (["-o", "none/new.db"], 1, "none"),
    ] as [([String], Int32, String)])
  func `wrong use is refused in one line`(
    arguments: [String], code: Int32, message: String
  ) throws {
    let folder = try TemporaryFolder()
    try folder.write("taken.db", "taken")
    let result = try Command.run(
      ["anonymize", "--log", RecordedDemo.log] + arguments, folder: folder.url)
    #expect(result.code == code)
    #expect(result.errors.contains(message), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["taken.db"])
  }
}
