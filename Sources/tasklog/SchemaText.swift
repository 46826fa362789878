import Querying

/// Prints the views of a log for people, or as rows if a format is requested.
enum SchemaText {
  static func write(_ format: FormatOptions) throws {
    guard format.format == nil else { return try format.write(Schema.report()) }
    for view in try Schema.views() {
      Console.print("\(view.name): \(view.summary)")
      var line = " "
      for column in view.columns {
        if line.count + column.count >= 78 {
          Console.print(line)
          line = " "
        }
        line += " " + column
      }
      Console.print(line)
      let example = view.example.split(separator: "\n").joined(separator: " ")
      Console.print("  tasklog query \"\(example)\"")
      Console.print()
    }
  }
}
