import Foundation
import TestTraits
import Testing

/// Runs compared with a baseline, numbers over many runs, and errors over many runs.
@Suite(.exclusive(.commands)) struct CompareTests {
  /// A folder with four runs of the demo; in the last one a file cannot be read as text, and more can.
  private func makeArchive() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for (name, files) in [("in", ["a", "b"]), ("more", ["a", "b", "c", "d"])] {
      try folder.makeFolder(name)
      for file in files { try folder.write("\(name)/\(file).txt", "one two \(file)") }
    }
    try Data([0xff, 0xfe, 0]).write(to: URL(fileURLWithPath: folder("more/broken.bin")))
    try folder.makeFolder("logs")
    for (log, input, branch) in [
      ("a", "in", "main"), ("b", "in", "main"), ("c", "in", "main"), ("d", "more", "new"),
    ] {
      let demo = try Command.run(
        ["demo", "--input", input, "--log", "logs/\(log).db"],
        environment: ["TASKLOG_LABELS": "branch=\(branch)"], folder: folder.url)
      try #require(demo.code == 0 || input == "more", "\(demo.errors)")
    }
    return folder
  }

  @Test func `a run is compared with a baseline, which does not contain it`() throws {
    let folder = try makeArchive()
    let baseline = ["compare", "--baseline", "closed", "--format", "csv"]
    // Twice: from the logs, and from what is known of them.
    for _ in 0..<2 {
      let runs = try folder.tasklog(baseline + ["--table", "runs"]).lines.dropFirst()
      #expect(
        runs.map { String($0.split(separator: ",")[0]) } == [
          "baseline", "baseline", "baseline", "compared",
        ])
      #expect(runs.last?.hasSuffix("logs/d.db") == true)
      let measures = try folder.tasklog(baseline + ["--table", "measures"]).lines
      let failed = measures.first { $0.hasPrefix("failed,,,") }
      #expect(failed == "failed,,,count,0,1,,above all 3,3,1,,,0,0,1,1")
      #expect(measures.contains { $0.hasPrefix("tasks,,count,count,2,5,1.5,above all 3,3,1,") })
    }
    #expect(
      FileManager.default.fileExists(atPath: folder("cache/tasklog/catalogue/runs.db")))
    let two = ["--runs", "label.branch=main last 2", "--table", "runs"]
    let sides = try folder.tasklog(["compare", "--baseline", "closed", "--format", "csv"] + two)
      .lines
    #expect(sides.count { $0.hasPrefix("baseline,") } == 2)
  }

  @Test func `a limit that is exceeded is an exit code of 2, a text and JUnit XML`() throws {
    let folder = try makeArchive()
    let limits = [
      "compare", "latest", "--baseline", "label.branch=main", "--fail-if", "failed > 0",
      "--fail-if", "tasks(prefix=c*) <= 2x", "--junit", "result.xml",
    ]
    let result = try folder.tasklog(limits + ["--table", "limits", "--format", "csv"], code: 2)
    #expect(
      result.lines == [
        "limit,measure,value,bound,result", "failed > 0,failed,1,0,failed",
        "tasks(prefix=c*) <= 2x,tasks(prefix=count),5,4,ok",
      ])
    #expect(
      result.errors == "tasklog: failed is 1 (limit: failed > 0)\ntasklog: failed: failed > 0\n")
    let xml = try String(contentsOfFile: folder("result.xml"), encoding: .utf8)
    #expect(xml.contains("<testsuites tests=\"2\" failures=\"1\" errors=\"0\">"))
    let markdown = try folder.tasklog(limits + ["--format", "markdown"], code: 2)
    #expect(markdown.output.contains("| failed &gt; 0 | failed | 1 | 0 | failed |"))
    // Two runs, of which the first is the baseline.
    let pair = ["compare", "3", "4", "--fail-if", "tasks > 1.7x", "--table", "limits"]
    #expect(try folder.tasklog(pair, code: 2).errors.hasSuffix("tasklog: failed: tasks > 1.7x\n"))
    _ = try folder.tasklog(["compare", "3", "4", "--fail-if", "tasks > 3x"])
  }

  @Test func `what cannot be compared is an error`() throws {
    let folder = try makeArchive()
    for (arguments, code, message) in [
      (["compare", "1"], 64, "name two runs to compare"),
      (["compare", "1", "2", "3"], 64, "name two runs to compare"),
      (["compare", "--runs", "closed"], 64, "--runs: what to compare these runs with?"),
      (
        ["compare", "1", "--runs", "closed", "--baseline", "closed"], 64, "1: name runs, or select"
      ),
      (["compare", "--baseline", "speed>1"], 64, "--baseline 'speed>1': 'speed' is nothing"),
      (
        ["compare", "4", "--baseline", "failed"], 1,
        "--baseline 'failed': selects no run to compare with"
      ),
      (["compare", "--runs", "died", "--baseline", "closed"], 1, "logs: no run matches --runs"),
      (["compare", "9", "--baseline", "closed"], 1, "no run"),
      (
        ["compare", "1", "2", "--fail-if", "speed > 1"], 64,
        "--fail-if 'speed > 1': expected one of"
      ),
      (["compare", "1", "2", "--fail-if", "p95(prefix=x) > 1"], 1, "no task of the compared runs"),
      (["compare", "1", "2", "--junit", "a.xml"], 64, "--junit: there are no limits"),
      (["compare", "--baseline", "closed", "--log2", "logs/a.db"], 64, "--log2 and --baseline"),
      (["trend", "p95"], 64, "trend 'p95': p95 is of something"),
      (["trend", "p95(prefix=x)"], 1, "trend 'p95(prefix=x)': no task of these runs"),
      (["trend", "makespan", "--runs", "died"], 1, "logs: no run matches --runs"),
      (["errors", "--runs", "died"], 1, "logs: no run matches --runs"),
    ] as [([String], Int32, String)] {
      let result = try folder.tasklog(arguments, code: code)
      #expect(result.output.isEmpty, "\(arguments)")
      #expect(result.errors.hasPrefix("tasklog: "), "\(result.errors)")
      #expect(result.errors.contains(message), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder("a.xml")))
  }

  @Test func `a damaged log of a baseline is named, and the others are compared`() throws {
    let folder = try makeArchive()
    try folder.write("logs/x.db", "SQLite format 3\0 and no more")
    let result = try folder.tasklog(
      ["compare", "--baseline", "closed", "--table", "runs", "--format", "csv"], code: 1)
    #expect(result.lines.count == 5)
    #expect(result.errors.contains("logs/x.db") && result.errors.contains("its runs are left out"))
  }

  @Test func `a run that died is named, since its figures may be too good`() throws {
    let folder = try makeArchive()
    try FileManager.default.copyItem(atPath: SampleLog.path, toPath: folder("logs/sample.db"))
    let runs = ["--runs", "died", "--baseline", "label.branch=main"]
    let result = try folder.tasklog(["compare", "--fail-if", "failed > 100"] + runs)
    #expect(result.errors.contains("died; its figures are those of its events so far"))
  }

  @Test func `compared runs are left out before the last ones are taken`() throws {
    let folder = try makeArchive()
    let two = ["--runs", "closed last 2", "--baseline", "closed last 2", "--table", "runs"]
    let sides = try folder.tasklog(["compare", "--format", "csv"] + two).lines
    #expect(sides.count { $0.hasPrefix("baseline,") } == 2)
    #expect(sides.count { $0.hasPrefix("compared,") } == 2)
  }

  @Test func `a number is shown for each run and prefix`() throws {
    let folder = try makeArchive()
    let rows = try folder.tasklog(["trend", "tasks(prefix=*)", "failed", "--format", "csv"]).lines
    let short = rows.map { line in
      let fields = line.split(separator: ",", omittingEmptySubsequences: false)
      return [fields[0], fields[4], fields[6], fields[7]].joined(separator: " ")
    }
    #expect(short.contains("1 tasks count 2") && short.contains("4 tasks count 5"))
    #expect(Array(short.suffix(4)) == ["1 failed  0", "2 failed  0", "3 failed  0", "4 failed  1"])
  }

  @Test func `errors of many runs are grouped`() throws {
    let folder = try makeArchive()
    let frozen = URL(fileURLWithPath: SampleLog.path).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Frozen").path
    for name in ["v1-dask", "v2-dask", "v2-demo"] {
      try FileManager.default.copyItem(
        atPath: "\(frozen)/\(name).db", toPath: folder("logs/\(name).db"))
    }
    let rows = try folder.tasklog(["errors", "--runs", "closed or died", "--format", "csv"]).lines
    let short = rows.dropFirst().map { $0.split(separator: ",").prefix(6).joined(separator: ",") }
    #expect(rows.count == 3)
    #expect(
      rows.contains { $0.hasPrefix("ValueError,\"<dynamic-code>, broken\",2,2,2,1,3,") }, "\(rows)")
    #expect(rows.contains { $0.hasPrefix(",tasklog/WordCount.swift:37,2,2,0,2,7,") }, "\(short)")
    // Each by itself, as before.
    let causes = try folder.tasklog(
      ["errors", "--runs", "failed", "--table", "causes", "--format", "jsonl"])
    #expect(causes.lines.count == 4, "\(causes.output)")
  }
}
