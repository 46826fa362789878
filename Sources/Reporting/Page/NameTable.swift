/// Names in the order in which they were met, each once.
struct NameTable {
  private(set) var names: [String] = []
  private var places: [[UInt8]: Int] = [:]
  private var byNumber: [Int64: Int] = [:]

  mutating func place(_ name: String) -> Int {
    // By bytes: texts that Unicode takes for equal are different names.
    let bytes = Array(name.utf8)
    if let place = places[bytes] { return place }
    let place = names.count
    names.append(name)
    places[bytes] = place
    return place
  }

  /// - Parameter load: the text with this number in the file.
  mutating func place(ofText number: Int64, load: (Int64) throws -> String?) rethrows -> Int {
    if let place = byNumber[number] { return place }
    let place = place(try load(number) ?? "")
    byNumber[number] = place
    return place
  }
}
