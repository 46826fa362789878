import LogFormat
import Testing

@testable import EventLog
@testable import LogAnalysis
@testable import Querying

/// Reports and tables on a terminal; in a pipe they are raw.
@Suite struct TerminalReportTests {
  private func text(
    _ report: Report, columns: Int = 100, hasColours: Bool = false, options: String = ""
  ) throws -> String {
    let output = Output()
    try report.write(
      .table, to: output.write,
      terminal: Terminal(columns: columns, hasColours: hasColours, options: options))
    return output.text
  }

  private let measured = Report.Table(
    "measured", title: "Seconds",
    columns: [
      Column("run", rank: 9), Column("seconds", .seconds), Column("nbytes", .bytes),
      Column("share", .share), Column("time", .time), Column("start", .epoch),
      Column("left", .time),
      Column("exception", .exception), Column("life", rank: 8), Column("joined_ns"),
    ],
    rows: [
      [
        .integer(1), .real(0.000768), .integer(4_089_446), .real(0.7381),
        .text("2026-11-23T07:01:04.225102Z"), .real(1_795_897_181.182462), .null,
        .text("ValueError('no')"), .integer(1), .integer(1_795_897_181_182_462_000),
      ],
      [
        .integer(1), .real(12.3), .integer(28), .real(0.034), .text("2026-11-23T07:01:05.225102Z"),
        .real(1_795_897_181.190001), .null, .text("KeyError(7)"), .integer(1),
        .integer(2_000_000),
      ],
    ])

  @Test func `values have units, and meaningless values are not shown`() throws {
    let table = """
      duration   nbytes  share  time          start         exception       joined_ns
        768 µs  3.9 MiB   74 %  07:01:04.225  20:19:41.182  ValueError: no  2026-11-28 20:19:41.182
          12 s     28 B  3.4 %  07:01:05.225  20:19:41.190  KeyError(7)     2.0 ms

      """
    #expect(try text(Report([measured])) == table)
  }

  @Test func `a pipe has raw numbers and all columns`() throws {
    let output = Output()
    try Report([measured]).write(.table, to: output.write, terminal: nil)
    let lines = output.text.split(separator: "\n")
    #expect(
      lines[0].split(separator: " ") == [
        "run", "seconds", "nbytes", "share", "time", "start", "left", "exception", "life",
        "joined_ns",
      ])
    #expect(lines[1].contains("0.000768") && lines[1].contains("07:01:04.225102"))
    #expect(lines[1].contains("4089446") && lines[1].contains("ValueError('no')"))
  }

  @Test func `a later life and several runs are shown`() throws {
    var table = measured
    table = Report.Table(
      "lives", title: "", columns: [Column("run", rank: 9), Column("n"), Column("life", rank: 8)],
      rows: [[.integer(1), .integer(5), .integer(2)], [.integer(2), .integer(6), .integer(2)]])
    #expect(try text(Report([table])) == "run  n  life\n  1  5     2\n  2  6     2\n")
  }

  @Test func `columns are ordered by importance, and hidden ones are named`() throws {
    let table = Report.Table(
      "many", title: "",
      columns: [Column("least", rank: 2), Column("less", rank: 1), Column("most")],
      rows: [[.text("aaaaaaaaaa"), .text("bbbbbbbbbb"), .text("cccccccccc")]]
    ).onTerminal(first: ["most", "less"])
    #expect(
      try text(Report([table]))
        == "most        less        least\ncccccccccc  bbbbbbbbbb  aaaaaaaaaa\n")
    #expect(
      try text(Report([table]), columns: 13)
        == """
        most        …
        cccccccccc
        … not shown:
          less,
          least;
          --format
          csv has all
          columns

        """)
  }

  @Test func `tables without rows are left out, and a report without rows says so`() throws {
    let empty = Report.Table("empty", title: "Empty", columns: [Column("x")], rows: [])
    let full = Report.Table("full", title: "Full", columns: [Column("x")], rows: [[.integer(1)]])
    #expect(try text(Report([empty, full, empty])) == "Full\nx\n1\n")
    #expect(try text(Report([empty, empty])) == "no rows\n")
    #expect(try text(Report([empty]).onTerminal(none: "no workers")) == "no workers\n")
    var titled = Report([full.onTerminal(title: "All") { "the first \($0)" }])
    titled.text = { _ in "text\n" }
    #expect(try text(titled) == "text\n\nAll\nx\n1\nthe first 1\n")
    #expect(
      try text(titled, hasColours: true)
        == "text\n\n\u{1B}[1;4mAll\u{1B}[0m\n\u{1B}[1mx\u{1B}[0m\n1\nthe first 1\n")
    titled.hasTablesOnTerminal = false
    #expect(try text(titled) == "text\n")
  }

  @Test func `rows beyond those shown are counted, and those before an error are written`() throws {
    let rows = (0..<5000).map { [SQLiteValue.integer($0)] }
    let many = Report.Table("many", title: "", columns: [Column("n")], rows: rows).shown(most: 2)
    #expect(
      try text(Report([many])) == "n\n0\n1\n… and 4,998 more; --format jsonl has all\n")
    struct Broken: Error {}
    let broken = Report.Table("x", title: "", columns: [Column("x")]) { emit in
      try emit([.integer(1)])
      throw Broken()
    }
    let output = Output()
    #expect(throws: Broken.self) {
      try Report([broken]).write(
        .table, to: output.write, terminal: Terminal(columns: 80, hasColours: false))
    }
    #expect(output.text == "x\n1\n")
  }

  @Test func `binary values and pickles are not shown, but the text of an exception is`() throws {
    let args =
      #"{"type":{"$bytes":"gAWVFQAA"},"exception":{"$serialized":{"header":{},"frames":[]}},"#
      + #""exception_text":"ValueError('no')","inner":[{"$bytes":"AAAA"}]}"#
    let table = Report.Table(
      "x", title: "", columns: [Column("args", .json)], rows: [[.text(args)]])
    #expect(
      try text(Report([table]), columns: 200)
        == "args\n"
        + #"{"type":"6 B binary","exception_text":"ValueError('no')","inner":["3 B binary"]}"#
        + "\n")
  }

  @Test func `a block wraps its prose and its list of keys, but no command`() {
    var block = TextBlock(Terminal(columns: 30, hasColours: false, options: " --log 'my log'"))
    block.keys("In 9 tasks:", ["('a', 1)", "('a', 2)", "('a', 3)"], of: 9, indent: 2)
    block.commands([(TextBlock.story("('a', 1)") ?? "", "what happened to it")], indent: 2)
    block.verbatim(
      "  File \"x\", line 1\n    raise E(\u{1B}[31m'a text that is long enough')", indent: 2)
    #expect(
      block.text == """
          In 9 tasks: ('a', 1),
            ('a', 2), ('a', 3),
            … and 6 more
          tasklog story "('a', 1)" --log 'my log'
            File "x", line 1
              raise E(\\u{1b}[31m'a text that is long enough')

        """)
    #expect(TextBlock.story("a\u{1B}b") == nil)
  }
}

/// The three lines at the top of a summary.
@Suite struct SummaryHeadlineTests {
  private func run(_ end: RunEnd) -> RunInfo {
    RunInfo(
      number: 2, id: "x", engine: "dask", engineVersion: "2026.8.0", recorderVersion: "0.2.0",
      mode: "live", started: 1_795_897_077_000_000_000,
      ended: end == .running ? nil : 1_795_897_277_000_000_000, end: end, metadata: .null)
  }

  @Test func `a summary shows the duration`() {
    #expect(
      SummaryHeadline.duration(run(.closed), now: nil)
        == "Run #2 (dask 2026.8.0) took 3 min 20 s and was closed at 2026-11-28 20:21:17 UTC.")
    #expect(
      SummaryHeadline.duration(run(.died), now: nil)
        == "Run #2 (dask 2026.8.0) died after 3 min 20 s, at 2026-11-28 20:21:17 UTC.")
    #expect(
      SummaryHeadline.duration(run(.running), now: 1_795_897_087_000_000_000)
        == "Run #2 (dask 2026.8.0) has been running for 10 s, since 2026-11-28 20:17:57 UTC.")
  }

  @Test func `a summary shows the amounts`() {
    var summary = RunSummary()
    summary.workers = [1, 2, nil].map { (threads: Int64?) in
      var worker = RunSummary.Worker(address: "a")
      worker.nthreads = threads
      return worker
    }
    var prefix = RunSummary.Prefix()
    prefix.computeSeconds = 0.0031
    summary.prefixes = [prefix]
    #expect(
      SummaryHeadline.extent(summary, RunTotals(events: 1183, tasks: 22, workers: 2, missing: 0))
        == "22 tasks on 3 workers with 3 threads, 3.1 ms of compute time, 1,183 events.")
  }

  @Test func `a summary shows the problems`() {
    #expect(SummaryHeadline.wrong(.init(), run(.closed)) == nil)
    // Nothing counts as unfinished while the run is live.
    var troubles = SummaryHeadline.Troubles()
    troubles.unfinished = 5
    #expect(SummaryHeadline.wrong(troubles, run(.running)) == nil)
    #expect(
      SummaryHeadline.wrong(troubles, run(.died)) == "the scheduler died; 5 tasks were unfinished")
    (troubles.failed, troubles.affected, troubles.exceptions) = (1, 30, 3)
    troubles.exception = "ValueError: no"
    (troubles.lostWorkers, troubles.cancelled) = (1, 2)
    (troubles.missing, troubles.incompleteWorkers) = (1, 1)
    #expect(
      SummaryHeadline.wrong(troubles, run(.closed))
        == "1 task failed, and 30 because of it (ValueError: no and 2 more); 1 worker was lost, "
        + "and 2 tasks cancelled with its data; 5 tasks were unfinished; "
        + "1 event of the log is missing; the last events of 1 worker may be missing")
  }
}
