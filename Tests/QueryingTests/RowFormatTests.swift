import LogFormat
import Querying
import TaskLogPlugin
import Testing

@Suite struct RowFormatTests {
  private func text(
    _ format: RowFormat, _ columns: [Column], _ rows: [[SQLiteValue]]
  ) -> String {
    let output = Output()
    var writer = format.writer(to: output.write, terminal: nil)
    writer.start(columns)
    for row in rows { writer.row(row) }
    writer.finish()
    return output.text
  }

  @Test(arguments: [
    ("plain", "plain"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\""),
    ("a\rb", "\"a\rb\""), ("", "\"\""),
    // A quote and a combining character are one `Character`.
    ("\"\u{301}", "\"\"\"\u{301}\""), (",\u{301}", "\",\u{301}\""),
  ])
  func `CSV quotes only fields that require it`(field: String, written: String) {
    #expect(text(.csv, [Column("x")], [[.text(field)]]) == "x\r\n\(written)\r\n")
  }

  @Test func `an empty field among others needs no quotes`() {
    #expect(text(.csv, [Column("x"), Column("y")], [[.null, .text("")]]) == "x,y\r\n,\r\n")
  }

  @Test func `JSON in a column is written unchanged`() {
    let json = #"{"b":1,"a":[1.0,{"$bytes":"AA=="}]}"#
    #expect(
      text(.jsonl, [Column("args", .json)], [[.text(json)]]) == "{\"args\":\(json)}\n")
  }

  @Test func `JSON over several lines becomes one line`() {
    #expect(
      text(.jsonl, [Column("args", .json)], [[.text("{\n  \"a\": 1\n}")]])
        == "{\"args\":{\"a\":1}}\n")
  }

  @Test func `damaged JSON is text`() {
    #expect(
      text(.jsonl, [Column("args", .json)], [[.text("{\"a\":")]])
        == "{\"args\":\"{\\\"a\\\":\"}\n")
  }

  @Test func `an array of rows is one JSON document`() {
    #expect(text(.json, [Column("x")], []) == "[]\n")
    #expect(
      text(.json, [Column("x")], [[.integer(1)], [.real(.infinity)]])
        == "[\n{\"x\":1},\n{\"x\":null}\n]\n")
  }

  @Test func `text for people stays on one line without control characters`() {
    #expect(Printable.text("plain ü 漢 😀") == "plain ü 漢 😀")
    #expect(Printable.text("a\u{1B}]0;x\u{7}\r\n\t") == "a\\u{1b}]0;x\\u{7}\\r\\n\\t")
    #expect(
      Printable.text("\u{202E}\u{2066}\u{200B}\u{2028}\u{9B}")
        == "\\u{202e}\\u{2066}\\u{200b}\\u{2028}\\u{9b}")
    #expect(Printable.text("\u{7F}") == "\\u{7f}")
  }

  @Test func `counts have their noun`() {
    #expect(Printable.count(0, "file") == "0 files")
    #expect(Printable.count(1, "file") == "1 file")
    #expect(Printable.count(2, "file") == "2 files")
  }

  private static let steering = "a\u{1B}[31m\u{9B}\u{202E}\u{2028}\u{7F}b"

  @Test func `no format emits terminal control characters`() {
    for format in RowFormat.allCases {
      let written = text(format, [Column(Self.steering)], [[.text(Self.steering)]])
      let controls = written.unicodeScalars.filter {
        !["\n", "\r", "\t"].contains($0)
          && [.control, .format, .lineSeparator].contains($0.properties.generalCategory)
      }
      #expect(controls.isEmpty, "\(format)")
    }
  }

  @Test func `JSON escapes control characters reversibly`() throws {
    let line = text(.jsonl, [Column("x")], [[.text(Self.steering + "\u{E0001}")]])
    #expect(
      line
        == #"{"x":"a\u001b[31m\u009b\u202e\u2028\u007fb\udb40\udc01"}"# + "\n")
    let value = try JSONReader.value(line)
    #expect(
      value["x"]?.string?.unicodeScalars.elementsEqual((Self.steering + "\u{E0001}").unicodeScalars)
        == true)
  }

  @Test func `tab-separated values have one line per row, with escapes for separators`() {
    #expect(
      text(
        .tsv, [Column("x"), Column("y")],
        [[.text("a\tb\nc\\d\r"), .null], [.integer(1), .real(0.5)]])
        == "x\ty\na\\tb\\nc\\\\d\\r\t\n1\t0.5\n")
  }

  @Test func `Markdown markup in values is escaped`() {
    #expect(
      text(.markdown, [Column("a_b")], [[.text("x|y *z* `q` <b>&[l](u)\n\\")]])
        == #"| a\_b |"# + "\n| --- |\n"
        + #"| x\|y \*z\* \`q\` &lt;b&gt;&amp;\[l\](u)\\n\\ |"# + "\n")
  }
}
