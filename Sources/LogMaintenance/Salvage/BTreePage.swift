import LogFormat

/// A page of a b-tree, read cell by cell: https://sqlite.org/fileformat2.html#b_tree_pages
///
/// Every read is checked; an invalid cell is skipped and counted.
package struct BTreePage {
  enum Kind: UInt8 {
    case interiorIndex = 2
    case interiorTable = 5
    case leafIndex = 10
    case leafTable = 13
  }

  /// A row of a table, or an entry of an index.
  struct Row {
    /// 0 in an index.
    var rowID: Int64
    var values: [SQLiteValue]
  }

  let kind: Kind
  private let image: DatabaseImage
  private let bytes: [UInt8]
  /// The offset of the page's header: after the file's own header in page 1.
  private let start: Int
  private let cellCount: Int

  /// `nil` if this is not a page of a b-tree.
  init?(_ number: Int, in image: DatabaseImage) {
    guard let bytes = image.page(number) else { return nil }
    start = number == 1 ? 100 : 0
    guard let kind = Kind(rawValue: bytes[start]) else { return nil }
    self.kind = kind
    self.image = image
    self.bytes = bytes
    let count = Int(bytes[start + 3]) << 8 | Int(bytes[start + 4])
    let headerSize = kind == .leafTable || kind == .leafIndex ? 8 : 12
    guard start + headerSize + 2 * count <= bytes.count else { return nil }
    cellCount = count
  }

  private var isLeaf: Bool { kind == .leafTable || kind == .leafIndex }

  private func cell(_ index: Int) -> Int? {
    let position = start + (isLeaf ? 8 : 12) + 2 * index
    let offset = Int(bytes[position]) << 8 | Int(bytes[position + 1])
    return offset >= position && offset + 4 <= image.usableSize ? offset : nil
  }

  /// The child pages of an interior page.
  var children: [Int] {
    guard !isLeaf else { return [] }
    var children = (0..<cellCount).compactMap { cell($0).map { number(at: $0) } }
    children.append(number(at: start + 8))
    return children
  }

  private func number(at position: Int) -> Int {
    bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
  }

  /// Calls `give` with the rows of a leaf.
  ///
  /// - Returns: the number of unreadable cells.
  func rows(_ give: (Row) throws -> Void) rethrows -> Int {
    guard isLeaf else { return 0 }
    var unreadable = 0
    for index in 0..<cellCount {
      if let offset = cell(index), let row = row(at: offset) {
        try give(row)
      } else {
        unreadable += 1
      }
    }
    return unreadable
  }

  private func row(at offset: Int) -> Row? {
    var position = offset
    guard let size = Self.varint(bytes, &position) else { return nil }
    var rowID: Int64 = 0
    if kind == .leafTable {
      guard let id = Self.varint(bytes, &position) else { return nil }
      rowID = id
    }
    guard size > 0, size <= Int64(image.pageCount) * Int64(image.pageSize),
      let payload = payload(Int(size), at: position), let values = Self.values(payload)
    else { return nil }
    return Row(rowID: rowID, values: values)
  }

  /// https://sqlite.org/fileformat2.html#cell_payload_overflow_pages
  private func payload(_ size: Int, at position: Int) -> [UInt8]? {
    let usable = image.usableSize
    let most = kind == .leafTable ? usable - 35 : (usable - 12) * 64 / 255 - 23
    guard size > most else {
      return position + size <= bytes.count ? Array(bytes[position..<position + size]) : nil
    }
    let least = (usable - 12) * 32 / 255 - 23
    let even = least + (size - least) % (usable - 4)
    let local = even <= most ? even : least
    guard position + local + 4 <= bytes.count else { return nil }
    var payload = Array(bytes[position..<position + local])
    payload.reserveCapacity(size)
    var next = number(at: position + local)
    while payload.count < size {
      guard let page = image.page(next) else { return nil }
      payload += page[4..<4 + min(usable - 4, size - payload.count)]
      next = page[..<4].reduce(0) { $0 << 8 | Int($1) }
    }
    return payload
  }

  /// https://sqlite.org/fileformat2.html#record_format
  private static func values(_ record: [UInt8]) -> [SQLiteValue]? {
    var header = 0
    guard let headerSize = varint(record, &header), headerSize >= Int64(header),
      headerSize <= Int64(record.count)
    else { return nil }
    var values: [SQLiteValue] = []
    var position = Int(headerSize)
    while header < Int(headerSize) {
      guard let type = varint(record, &header), header <= Int(headerSize),
        let value = value(type, record, &position)
      else { return nil }
      values.append(value)
    }
    return values
  }

  private static func value(
    _ type: Int64, _ record: [UInt8], _ position: inout Int
  ) -> SQLiteValue? {
    func consume(_ count: Int) -> ArraySlice<UInt8>? {
      guard count <= record.count - position else { return nil }
      defer { position += count }
      return record[position..<position + count]
    }
    func integer(_ count: Int) -> Int64? {
      consume(count).map { bytes in
        bytes.dropFirst().reduce(Int64(Int8(bitPattern: bytes[bytes.startIndex]))) {
          $0 << 8 | Int64($1)
        }
      }
    }
    switch type {
    case 0: return .null
    case 1...4: return integer(Int(type)).map { .integer($0) }
    case 5: return integer(6).map { .integer($0) }
    case 6: return integer(8).map { .integer($0) }
    case 7: return integer(8).map { .real(Double(bitPattern: UInt64(bitPattern: $0))) }
    case 8, 9: return .integer(type - 8)
    case 12...:
      guard type <= Int64(Int32.max), let bytes = consume(Int(type - 12) / 2) else { return nil }
      return type & 1 == 0
        ? .blob(Array(bytes)) : .text(String(decoding: bytes, as: UTF8.self))
    default: return nil
    }
  }

  /// https://sqlite.org/fileformat2.html#varint
  private static func varint(_ bytes: [UInt8], _ position: inout Int) -> Int64? {
    var value: UInt64 = 0
    for index in 0..<9 {
      guard position < bytes.count else { return nil }
      let byte = bytes[position]
      position += 1
      if index == 8 { return Int64(bitPattern: value << 8 | UInt64(byte)) }
      value = value << 7 | UInt64(byte & 0x7F)
      if byte < 0x80 { break }
    }
    return Int64(bitPattern: value)
  }
}
