/// The hashes by which the JSON of a log refers to bytes that are stored once.
package enum BlobHashes {
  private static let mark = Array(#""$blob":""#.utf8)
  private static let length = 64

  /// The hashes after `"$blob":`. Lookalikes in users' text are among them as well.
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
