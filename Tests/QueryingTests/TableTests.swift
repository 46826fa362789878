import BrokerMessages
import LogFormat
import Testing

@testable import Querying

@Suite struct TableTests {
  /// The output of a table writer.
  private func text(
    _ columns: [Column], _ rows: [[SQLiteValue]], format: RowFormat = .table,
    terminal: Terminal? = nil
  ) -> String {
    let output = Output()
    var writer = format.writer(to: output.write, terminal: terminal)
    writer.start(columns)
    for row in rows { writer.row(row) }
    writer.finish()
    return output.text
  }

  private func terminal(_ columns: Int) -> Terminal {
    Terminal(columns: columns, hasColours: false)
  }

  @Test func `numbers are flush right, text is flush left, no line ends in spaces`() {
    #expect(
      text(
        [Column("n"), Column("text"), Column("half"), Column("last")],
        [
          [.integer(5), .text("a"), .real(0.5), .null],
          [.integer(1000), .text("long"), .null, .text("x")],
        ])
          == """
             n  text  half  last
             5  a      0.5
          1000  long        x

          """)
  }

  @Test func `columns with one text among the numbers are text`() {
    #expect(
      text([Column("n")], [[.integer(5)], [.text("ten")]]) == "n\n5\nten\n")
  }

  @Test func `East Asian text and emoji take two columns, marks none`() {
    #expect(
      text(
        [Column("word"), Column("x")],
        [
          [.text("漢字"), .text("x")], [.text("e\u{301}"), .text("x")], [.text("😀"), .text("x")],
          [.text("abcd"), .text("x")],
        ])
          == """
          word  x
          漢字  x
          e\u{301}     x
          😀    x
          abcd  x

          """)
  }

  @Test func `the day is omitted when all times are of one day`() {
    let one = "2026-11-23T07:01:04.225102Z"
    let two = "2026-11-24T07:01:04.225102Z"
    let columns = [Column("time", .time)]
    #expect(
      text(columns, [[.text(one)], [.text(one)]]) == "time\n07:01:04.225102\n07:01:04.225102\n")
    #expect(text(columns, [[.text(one)], [.text(two)]]) == "time\n\(one)\n\(two)\n")
    #expect(text(columns, [[.text("Tuesday")]]) == "time\nTuesday\n")
    #expect(text([Column("x", .date)], [[.text(one)]]) == "x\n2026-11-23 07:01:04\n")
  }

  @Test func `a day that comes later than the measured rows is shown`() {
    let first = "2026-11-23T07:01:04.225102Z"
    let later = "2026-11-24T07:01:04.225102Z"
    let rows = Array(repeating: [SQLiteValue.text(first)], count: 1000) + [[.text(later)]]
    let lines = text([Column("time", .time)], rows).split(separator: "\n")
    #expect(lines.count == 1002)
    #expect(lines[1000] == "07:01:04.225102")
    #expect(lines[1001] == later)
  }

  @Test func `wide values are cut, an address at its front, a key in its middle`() {
    #expect(
      text(
        [Column("worker", .address), Column("key", leastWidth: 6)],
        [[.text("inproc://localhost/1"), .text("a key that is long")]], terminal: terminal(16))
          == """
          worker    key
          …lhost/1  a k…ng

          """)
  }

  @Test func `a character of two columns is not cut in half`() {
    let cut = text(
      [Column("x", leastWidth: 4), Column("y", leastWidth: 4)],
      [[.text("漢字漢字"), .text("漢字漢字")]], terminal: terminal(10))
    #expect(cut == "x     y\n漢…   漢…\n")
  }

  @Test func `numbers are never cut, the columns on the right are dropped instead`() {
    #expect(
      text(
        [Column("a"), Column("b"), Column("c")],
        [[.integer(123_456_789), .integer(123_456_789), .integer(123_456_789)]],
        terminal: terminal(24))
          == """
                  a          b  …
          123456789  123456789
          … not shown: c; --format
            csv has all columns

          """)
  }

  @Test func `the least important columns are dropped first`() {
    let measures = [
      TableLayout.Measure(natural: 10, least: 10, rank: 1),
      TableLayout.Measure(natural: 10, least: 5, rank: 0),
      TableLayout.Measure(natural: 10, least: 10, rank: 2),
    ]
    func shown(_ width: Int) -> ([Int], [Int]) {
      let layout = TableLayout(measures, available: width)
      return (layout.shown, layout.widths)
    }
    #expect(shown(100) == ([0, 1, 2], [10, 10, 10]))
    #expect(shown(34) == ([0, 1, 2], [10, 10, 10]))
    #expect(shown(30) == ([0, 1, 2], [10, 6, 10]))
    #expect(shown(28) == ([0, 1], [10, 10]))
    #expect(shown(20) == ([0, 1], [10, 5]))
    #expect(shown(12) == ([1], [9]))
    #expect(shown(3) == ([1], [3]))
    #expect(shown(0) == ([1], [1]))
  }

  @Test(arguments: 0..<300)
  func `a layout is never wider than the terminal, and wastes no room`(seed: Int) {
    var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
    func next(_ limit: UInt64) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % limit)
    }
    let measures = (0...next(12)).map { _ in
      TableLayout.Measure(natural: next(60) + 1, least: next(20) + 1, rank: next(4))
    }
    let available = next(160) + 10
    let layout = TableLayout(measures, available: available)
    #expect(!layout.shown.isEmpty)
    #expect(layout.shown == layout.shown.sorted())
    let mark = layout.isPartial ? TableLayout.gap + 1 : 0
    let total =
      layout.widths.reduce(0, +) + TableLayout.gap * (layout.shown.count - 1)
    if layout.shown.count > 1 { #expect(total + mark <= available) }
    #expect(total <= available)
    let isFull = zip(layout.shown, layout.widths).allSatisfy { measures[$0].natural == $1 }
    if layout.shown.count > 1 { #expect(isFull || total + mark == available) }
  }

  @Test func `a key is cut in its middle, also where there is no terminal`() {
    let key = "begin-" + String(repeating: "x", count: 200_000) + "-end"
    let rows: [[SQLiteValue]] = [[.text(key), .text("a")], [.text("short"), .text("b")]]
    let columns = [Column("key"), Column("state")]
    for format in [RowFormat.table, .markdown] {
      let table = text(columns, rows, format: format)
      #expect(table.utf8.count < 1000)
      #expect(table.contains("begin-xxx") && table.contains("x…x") && table.contains("xxx-end"))
    }
    #expect(text(columns, rows, terminal: terminal(40)).contains("begin-"))
    #expect(text(columns, rows, terminal: terminal(40)).contains("-end"))
    for format in [RowFormat.csv, .tsv, .json, .jsonl] {
      #expect(text(columns, rows, format: format).contains(key))
    }
    #expect(Printable.withoutMiddle("漢字漢字漢字", width: 6) == "漢…字")
    #expect(Printable.withoutMiddle("abc", width: 3) == "abc")
    #expect(Printable.withoutMiddle("abcd", width: 3) == "a…d")
    #expect(Printable.withoutMiddle("abcd", width: 0) == "…")
  }

  @Test func `one wide cell does not widen the others`() {
    let wide = String(repeating: "x", count: 10_000)
    var rows: [[SQLiteValue]] = [[.text(wide), .text("a")]]
    for _ in 0..<50 { rows.append([.text("y"), .text("b")]) }
    #expect(text([Column("args"), Column("n")], rows).utf8.count < 10_000 + 51 * 210)
  }

  @Test func `people are shown the text of an exception and not its pickle`() {
    let args =
      #"{"cause":"a","exception":{"$serialized":{"header":{},"frames":[{"$bytes":"gASV"}]}},"#
      + #""traceback":{"$blob":"00"},"exception_text":"ValueError('no')"}"#
    let column = [Column("args", .json)]
    for format in [RowFormat.table, .markdown] {
      let shown = text(column, [[.text(args)]], format: format)
      #expect(shown.contains("ValueError('no')"))
      #expect(!shown.contains("gASV") && !shown.contains("blob"))
    }
    #expect(text(column, [[.text(args)]], format: .csv).contains("gASV"))
    // Text and descriptions are for people; text that is not JSON is unchanged.
    for other in [#"{"exception":{"description":"no"},"traceback":null}"#, #"{"exception":"#] {
      #expect(text(column, [[.text(other)]]).contains(other))
    }
  }
}
