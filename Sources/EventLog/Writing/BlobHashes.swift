/// The hashes by which the JSON of a log names bytes that are kept once.
package enum BlobHashes {
  private static let mark = Array(#""$blob":""#.utf8)
  private static let length = 64

  /// What stands behind `"$blob":`. What only looks like it in somebody's text is among them as well.
  package static func all(in json: String) -> [String] {
    let bytes = Array(json.utf8)
    var hashes: [String] = []
    var place = 0
    while place + mark.count + length <= bytes.count {
      if bytes[place] == mark[0], bytes[place..<place + mark.count].elementsEqual(mark) {
        place += mark.count
        hashes.append(String(decoding: bytes[place..<place + length], as: UTF8.self))
        place += length
      } else {
        place += 1
      }
    }
    return hashes
  }
}
