/// A result that knows its own size.
public protocol ByteCounted {
  /// The size in memory, in bytes.
  var nbytes: Int64 { get }
}

/// The size of a result in memory, in bytes, estimated without traversing it: Dask's `sizeof`.
func byteCount<Output>(of value: Output) -> Int64 {
  if let counted = value as? any ByteCounted { return counted.nbytes }
  if let text = value as? String { return Int64(text.utf8.count) }
  if let collection = value as? any Collection { return byteCount(ofElements: collection) }
  return Int64(MemoryLayout<Output>.stride)
}

private func byteCount<C: Collection>(ofElements collection: C) -> Int64 {
  let stride = Int64(MemoryLayout<C.Element>.stride)
  // Text in collections is sampled, so that large ones cost no more than small ones.
  let sample = collection.prefix(16)
  let text = sample.reduce(into: Int64(0)) { sum, element in
    if let text = element as? String { sum += Int64(text.utf8.count) }
    if let pair = element as? (key: String, value: Int) { sum += Int64(pair.key.utf8.count) }
  }
  let count = Int64(collection.count)
  return count * stride + (sample.isEmpty ? 0 : text * count / Int64(sample.count))
}
