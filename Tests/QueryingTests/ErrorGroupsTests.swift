import LogFormat
import Testing

@testable import LogAnalysis

/// Errors of many runs by exception and function.
@Suite struct ErrorGroupsTests {
  private static func cause(_ exception: String, _ traceback: String, tasks: Int64) -> ErrorCause {
    var cause = ErrorCause(
      exception: .text(exception), firstSeq: 1, firstKey: "k", firstTraceback: .text(traceback),
      firstTime: 0)
    cause.tasks = tasks
    return cause
  }

  @Test func `the same error at another line and path is the same group`() {
    var groups = ErrorGroups()
    let frames = [
      "  File \"/home/ann/etl.py\", line 3, in run\n  File \"/home/ann/load.py\", line 7, in load\n",
      "  File \"/srv/load.py\", line 9, in load\n    raise ValueError(x)\n",
    ]
    groups.add(Self.cause("ValueError('a')", frames[0], tasks: 2), run: 0)
    groups.add(Self.cause("ValueError('b')", frames[1], tasks: 3), run: 0)
    groups.add(Self.cause("ValueError('c')", frames[1], tasks: 1), run: 4)
    groups.add(Self.cause("KeyError('c')", frames[1], tasks: 50), run: 2)
    let all = groups.sorted
    #expect(all.map(\.type) == ["ValueError", "KeyError"])
    #expect(all.map(\.frame) == ["load.py, load", "load.py, load"])
    #expect(all[0].runs == [0, 4] && all[0].tasks == 6)
    #expect(all[0].exception == .text("ValueError('c')"))
  }

  @Test(
    arguments: [
      ("ValueError('x')", "ValueError"), ("a.b.Error()", "a.b.Error"), ("no text", nil),
      ("(1, 2)", nil), ("f(x)) != (y)", "f"), ("two words(1)", nil),
    ] as [(String, String?)])
  func `the type is the name that repr shows`(text: String, type: String?) {
    #expect(ExceptionRepr(text).map { String($0.type) } == type)
  }

  @Test func `what has no frame has none`() {
    #expect(ErrorGroups.frame(of: .null) == nil)
    #expect(ErrorGroups.frame(of: .text("")) == nil)
    #expect(ErrorGroups.frame(of: .text("  File \"x.py")) == nil)
    #expect(ErrorGroups.frame(of: .text("  File \"x.py\", line 3")) == "x.py")
    #expect(ErrorGroups.frame(of: .text("task 'a', submitted at m/W.swift:3")) == "m/W.swift:3")
  }
}
