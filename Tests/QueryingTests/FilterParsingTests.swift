import EventLog
import Querying
import Testing

@Suite struct FilterParsingTests {
  private static let now: Int64 = 1_800_000_000_000_000_000

  @Test(arguments: ["error", "erred"])
  func `error and erred mean both`(name: String) throws {
    #expect(try FilterParsing.states(name, option: "--state") == ["error", "erred"])
  }

  @Test(arguments: ["memory", "no-worker", "long-running"])
  func `any other state means itself`(name: String) throws {
    #expect(try FilterParsing.states(name, option: "--state") == [name])
  }

  @Test(arguments: ["", "Memory", "longRunning", "done", " memory"])
  func `unknown states are refused`(name: String) {
    #expect(throws: FilterError.self) { try FilterParsing.states(name, option: "--state") }
  }

  @Test(
    arguments: [
      ("-1s", 1_000_000_000), ("-1.5s", 1_500_000_000), ("-10m", 600_000_000_000),
      ("-2h", 7_200_000_000_000), ("-1d", 86_400_000_000_000), ("-0s", 0),
    ] as [(String, Int64)])
  func `a time can be relative to now`(text: String, ago: Int64) throws {
    #expect(try FilterParsing.time(text, option: "--since", now: Self.now) == Self.now - ago)
  }

  @Test(arguments: [
    ("1970-01-01", "1970-01-01T00:00:00.000000Z"),
    ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
    ("2024-02-29T12:00", "2024-02-29T12:00:00.000000Z"),
    ("2026-01-31 12:34:56", "2026-01-31T12:34:56.000000Z"),
    ("2026-12-31T23:59:59.25Z", "2026-12-31T23:59:59.250000Z"),
    ("2026-11-23T07:01:04.225102Z", "2026-11-23T07:01:04.225102Z"),
    ("2026-11-23T07:01:04.225102+00:00", "2026-11-23T07:01:04.225102Z"),
    ("2026-11-23T07:01+01:30", "2026-11-23T05:31:00.000000Z"),
    ("2026-12-31T23:59:59-08:00", "2027-01-01T07:59:59.000000Z"),
  ])
  func `a time can be a date with or without a time of day`(text: String, iso: String) throws {
    #expect(
      Timestamp.iso(try FilterParsing.time(text, option: "--since", now: Self.now)) == iso)
  }

  @Test(
    arguments: [
      ("2026-01-01T00:00:01.5", 1_599_999_999), ("2026-01-01T00:00:01.500000", 1_500_000_999),
      ("2026-01-01T00:00:01.500000000", 1_500_000_000), ("2026-01-01T00:00:01", 1_000_000_000),
    ] as [(String, Int64)])
  func `an end includes the precision with which it was written`(text: String, rest: Int64) throws {
    let day = try FilterParsing.time("2026-01-01", option: "--until", now: 0)
    #expect(try FilterParsing.time(text, option: "--until", now: 0, isEnd: true) == day + rest)
  }

  @Test(arguments: [
    "", "-", "-m", "-10", "10m", "-10w", "--1m", "-nanm", "-infm", "now", "2026", "2026-01",
    "2026-00-01", "2026-13-01", "2026-02-29", "2026-04-31", "2026-01-32", "2026-01-01T",
    "2026-01-01T12", "2026-01-01T24:00", "2026-01-01T12:60", "2026-01-01T12:00:61",
    "2026-01-01T12:00:nan", "2026-01-01T12:00:00+1:00", "2026-01-01T12:00+24:00",
    "2026-01-01T12:00:00-01:60", "2026-01-01+00:00", "2026-01-01T12-01:00", "2026-01-01T12:00T",
    "2026-01-01T12:00:00+0100", "26-01-01",
    "2026-01-01T12:00:01.", "2026-01-01T12:00:01.1.1", "2026-01-01T12:00:01.+1",
    "2026-01-01T12:00:01.1234567890",
  ])
  func `any other text is not a time`(text: String) {
    #expect(throws: FilterError.self) {
      try FilterParsing.time(text, option: "--since", now: Self.now)
    }
  }

  @Test(arguments: [
    "1970-01-01", "1999-12-31", "2000-02-29", "2100-02-28", "2100-03-01", "2199-12-31",
  ])
  func `a printed value can be parsed`(day: String) throws {
    let time = try FilterParsing.time(day, option: "--since", now: 0)
    #expect(Timestamp.iso(time).hasPrefix(day + "T00:00"))
  }

  @Test(arguments: [
    ("nbytes=1", ArgCondition(name: "nbytes", comparison: .equal, value: "1")),
    ("nbytes>=1", ArgCondition(name: "nbytes", comparison: .greaterOrEqual, value: "1")),
    ("nbytes<=1", ArgCondition(name: "nbytes", comparison: .lessOrEqual, value: "1")),
    ("a.b!=", ArgCondition(name: "a.b", comparison: .notEqual, value: "")),
    ("a<b=c", ArgCondition(name: "a", comparison: .less, value: "b=c")),
    ("a=b!=c", ArgCondition(name: "a", comparison: .equal, value: "b!=c")),
    ("type~^in[t]$", ArgCondition(name: "type", comparison: .matches, value: "^in[t]$")),
  ])
  func `an argument is split at the first operator`(text: String, condition: ArgCondition) throws {
    #expect(try FilterParsing.arg(text) == condition)
  }

  @Test(arguments: ["", "nbytes", "=1", "!=1", "a~("])
  func `any other text is not a comparison`(text: String) {
    #expect(throws: FilterError.self) { try FilterParsing.arg(text) }
  }

  @Test(arguments: ["(", "[", "a{2,1}", "*\\("])
  func `an invalid regular expression is reported`(pattern: String) {
    #expect(throws: FilterError.self) { try FilterParsing.pattern(pattern, option: "--grep") }
  }

  @Test func `hooks can be named as in Python, too`() {
    #expect(FilterParsing.hook("add_worker") == "addWorker")
    #expect(FilterParsing.hook("valid_workers_downscaling") == "validWorkersDownscaling")
    #expect(FilterParsing.hook("transition") == "transition")
    #expect(FilterParsing.hook("_") == "_")
  }

  @Test func `a range may begin at a number`() throws {
    #expect(try FilterParsing.bound("seq:12", option: "--since", now: 0) == .seq(12))
    #expect(try FilterParsing.bound("1970-01-01", option: "--since", now: 0) == .time(0))
    for wrong in ["seq:", "seq:-1", "seq:x", "12"] {
      #expect(throws: FilterError.self) {
        try FilterParsing.bound(wrong, option: "--since", now: 0)
      }
    }
  }
}
