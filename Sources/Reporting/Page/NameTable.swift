/// Unique names in the order of first use.
struct NameTable {
  private(set) var names: [String] = []
  private var places: [[UInt8]: Int] = [:]
  private var byTextID: [Int64: Int] = [:]

  mutating func index(_ name: String) -> Int {
    // By bytes: texts that are equal by Unicode are different names.
    let bytes = Array(name.utf8)
    if let index = places[bytes] { return index }
    let index = names.count
    names.append(name)
    places[bytes] = index
    return index
  }

  /// - Parameter load: returns the text with this row ID.
  mutating func index(ofText textID: Int64, load: (Int64) throws -> String?) rethrows -> Int {
    if let index = byTextID[textID] { return index }
    let index = index(try load(textID) ?? "")
    byTextID[textID] = index
    return index
  }
}
