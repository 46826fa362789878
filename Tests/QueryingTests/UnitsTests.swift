import LogFormat
import Testing

@testable import Querying

/// The display of durations, sizes, shares, times and exceptions on a terminal.
@Suite struct UnitsTests {
  @Test(arguments: [
    (0, "0 s"), (1e-12, "0 s"), (25e-9, "25 ns"), (0.000768, "768 µs"), (0.0012, "1.2 ms"),
    (0.0123, "12 ms"), (0.00996, "10 ms"), (0.9996, "1.0 s"), (0.0009999, "1.0 ms"), (9.96, "10 s"),
    (12.3, "12 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
    (3599.9, "1 h"), (11_520, "3 h 12 min"), (86_400, "1 d"), (180_000, "2 d 2 h"),
    (-0.0012, "-1.2 ms"),
  ])
  func `a duration has the unit that fits`(seconds: Double, text: String) {
    #expect(Units.duration(seconds: seconds) == text)
  }

  @Test(arguments: [
    (0, "0 B"), (28, "28 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4_089_446, "3.9 MiB"),
    (1_048_500, "1.0 MiB"), (40_894_464, "39 MiB"), (5e9, "4.7 GiB"), (2e15, "1.8 PiB"),
  ])
  func `a size is in powers of 1024`(bytes: Double, text: String) {
    #expect(Units.bytes(bytes) == text)
  }

  @Test(arguments: [
    (0, "0 %"), (0.0004, "< 0.1 %"), (0.034, "3.4 %"), (0.7381, "74 %"), (0.9999, "> 99 %"),
    (1, "100 %"), (1.5, "150 %"),
  ])
  func `a share is a percentage, and never rounded to none or all`(share: Double, text: String) {
    #expect(Units.percent(share) == text)
  }

  @Test func `a time has milliseconds, and the digits of a count have groups`() {
    #expect(Units.time("2026-11-23T07:01:04.225102Z") == "2026-11-23 07:01:04.225")
    #expect(Units.time("tomorrow") == "tomorrow")
    #expect(Units.timeOfDay(1_795_897_077_186_983_000) == "20:17:57.186")
    #expect(Units.second(1_795_897_077_186_983_000) == "2026-11-28 20:17:57")
    #expect(Units.count(0) == "0")
    #expect(Units.count(-1_234_567) == "-1,234,567")
    #expect(Units.count(1, "task") == "1 task")
    #expect(Units.count(1000, "task") == "1,000 tasks")
  }

  @Test(arguments: [
    ("ValueError('no price')", "ValueError: no price"), ("StopIteration()", "StopIteration"),
    (#"KeyError("it's")"#, "KeyError: it's"),
    (#"ValueError('a\nb\\c\x41\u00fc')"#, "ValueError: a\nb\\cAü"),
    ("pkg.Error('')", "pkg.Error"),
    // Anything that is not one text is unchanged.
    ("KeyError(7)", "KeyError(7)"), ("OSError(2, 'No such file')", "OSError(2, 'No such file')"),
    ("E('a', 'b')", "E('a', 'b')"), ("E('a' 'b')", "E('a' 'b')"), ("E('a\\')", "E('a\\')"),
    ("bash/NEWS.gz is not UTF-8 text", "bash/NEWS.gz is not UTF-8 text"), ("(x)", "(x)"), ("", ""),
    ("KilledWorker: died (2)", "KilledWorker: died (2)"),
  ])
  func `an exception is shown as Python prints it`(recorded: String, text: String) {
    #expect(ExceptionText.forPeople(recorded) == text)
  }

  @Test func `text is broken into lines that fit`() {
    let terminal = Terminal(columns: 20, hasColours: false)
    #expect(
      PeopleText.wrapped("one two three four five six", terminal)
        == "one two three four\n  five six\n")
    #expect(
      PeopleText.wrapped("a-word-that-is-longer-than-a-line x", terminal)
        == "a-word-that-is-longer-than-a-line\n  x\n")
    #expect(PeopleText.hidden([], terminal) == "")
  }
}
