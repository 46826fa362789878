/// The tables of a log by the shape of their rows: a page that no tree reaches any more is
/// identified by its content.
package enum SalvagedTable: String, CaseIterable {
  case text, key, blob, run, source, gap, event
  case sourceTotal = "source_total"

  private enum Shape {
    case integer, text, blob
    case integerOrNull, textOrNull
  }

  private var shape: [Shape] {
    switch self {
    case .text: [.text]
    case .key: [.text, .text, .integerOrNull, .integerOrNull]
    case .blob: [.text, .blob]
    case .run:
      [
        .text, .text, .text, .text, .text, .integer, .integerOrNull, .textOrNull, .integerOrNull,
        .integerOrNull, .integer, .integerOrNull, .text,
      ]
    case .source: [.integer, .text, .text, .text, .text, .integerOrNull]
    case .sourceTotal: [.integer, .integer, .integerOrNull]
    case .gap: [.integer, .integer, .integer, .integer, .text]
    case .event:
      [
        .integer, .integer, .integer, .integer, .integerOrNull, .integerOrNull, .integerOrNull,
        .integerOrNull, .integerOrNull, .integerOrNull, .textOrNull, .textOrNull,
      ]
    }
  }

  /// The number of columns of its rows, including the row ID.
  var columnCount: Int { shape.count + 1 }

  /// Whether a row may belong to the table. The row ID is stored as NULL among the values:
  /// https://sqlite.org/fileformat2.html#representation_of_sql_tables
  func fits(_ row: BTreePage.Row) -> Bool {
    guard row.values.count == columnCount, row.values[0] == .null else { return false }
    let isRight = zip(row.values.dropFirst(), shape).allSatisfy { value, shape in
      switch (shape, value) {
      case (.integer, .integer), (.integerOrNull, .integer), (.integerOrNull, .null): true
      case (.text, .text), (.textOrNull, .text), (.textOrNull, .null), (.blob, .blob): true
      default: false
      }
    }
    guard isRight, row.rowID > 0 || self == .event else { return false }
    switch self {
    case .source:
      return [.text("scheduler"), .text("worker"), .text("command")].contains(row.values[2])
    case .run: return [.null, .text("closed"), .text("died")].contains(row.values[8])
    default: return true
    }
  }

  /// The table that a row belongs to, inferred from its shape.
  static func of(_ row: BTreePage.Row) -> SalvagedTable? {
    allCases.first { $0 != .sourceTotal && $0.columnCount == row.values.count && $0.fits(row) }
  }
}
