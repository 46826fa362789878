import EventLog
import Querying
import Testing

/// Reports of one table and of several, in each format.
@Suite struct ReportTests {
  private let fruits = Report.Table(
    "fruits", title: "Fruits", columns: [Column("name"), Column("count")],
    rows: [[.text("apple"), .integer(2)]])
  private let roots = Report.Table(
    "roots", title: "Roots & more", columns: [Column("depth"), Column("name")], rows: [])

  private func text(_ tables: [Report.Table], _ format: RowFormat) throws -> String {
    let output = Output()
    try Report(tables).write(format, to: output.write, terminal: nil)
    return output.text
  }

  @Test func `a single table is rows and nothing else`() throws {
    #expect(try text([fruits], .csv) == "name,count\r\napple,2\r\n")
    #expect(try text([fruits], .json) == "[\n{\"name\":\"apple\",\"count\":2}\n]\n")
    #expect(try text([fruits], .table) == "name   count\napple      2\n")
  }

  @Test func `for people several tables have titles`() throws {
    #expect(
      try text([fruits, roots], .table)
        == "Fruits\nname   count\napple      2\n\nRoots & more\ndepth  name\n")
    #expect(
      try text([fruits, roots], .markdown)
        == "### Fruits\n\n| name | count |\n| --- | --- |\n| apple | 2 |\n"
        + "\n### Roots &amp; more\n\n| depth | name |\n| --- | --- |\n")
  }

  @Test func `people are shown some of many rows, and programs all of them`() throws {
    let many = Report.Table(
      "many", title: "Many", columns: [Column("n")], rows: (0..<1000).map { [.integer($0)] })
    let first = many.shown(most: 2)
    #expect(
      try text([first], .table) == "n\n0\n1\n… and 998 more; --format jsonl has all\n")
    #expect(
      try text([first], .markdown)
        == "| n |\n| --- |\n| 0 |\n| 1 |\n\n… and 998 more; --format jsonl has all\n")
    #expect(try text([first], .csv).split(separator: "\r\n").count == 1001)
    #expect(try text([first, roots], .jsonl).split(separator: "\n").count == 1000)
    let some = many.shown(most: .max) { $0 == [.integer(7)] }
    #expect(try text([some], .table) == "n\n7\n… and 999 more; --format jsonl has all\n")
  }

  @Test func `in JSON several tables are one object`() throws {
    #expect(
      try text([fruits, roots], .json)
        == "{\n\"fruits\": [\n{\"name\":\"apple\",\"count\":2}\n],\n\"roots\": []\n}\n")
  }

  @Test func `in JSON lines each row names its table`() throws {
    #expect(
      try text([fruits, fruits], .jsonl)
        == "{\"table\":\"fruits\",\"name\":\"apple\",\"count\":2}\n"
        + "{\"table\":\"fruits\",\"name\":\"apple\",\"count\":2}\n")
    let filled = Report.Table(
      "roots", title: "", columns: [Column("depth"), Column("name")],
      rows: [[.real(0.5), .text("beet")]])
    #expect(
      try text([fruits, filled], .csv)
        == "table,name,count,depth\r\nfruits,apple,2,\r\nroots,beet,,0.5\r\n")
    #expect(
      try text([fruits, filled], .tsv)
        == "table\tname\tcount\tdepth\nfruits\tapple\t2\t\nroots\tbeet\t\t0.5\n")
  }

  @Test func `rows before an error are written`() {
    struct Broken: Error {}
    let output = Output()
    let table = Report.Table("x", title: "", columns: [Column("x")]) { give in
      try give([.integer(1)])
      throw Broken()
    }
    #expect(throws: Broken.self) {
      try Report([table]).write(.table, to: output.write, terminal: nil)
    }
    #expect(output.text == "x\n1\n")
  }
}
