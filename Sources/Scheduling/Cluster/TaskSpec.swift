import TaskLogPlugin

/// What a task does: Dask's `run_spec`. Travels beside the messages of the cores, which only know
/// keys.
struct TaskSpec: Sendable {
  /// The results that it needs, in the order of its parameters.
  var inputs: [Key]
  var run: @Sendable ([any Sendable]) throws -> Outcome
  /// Where it was submitted.
  var location: String
}

/// What can be told about the results of a task before there are any.
struct OutcomeType<Output: Sendable>: Sendable {
  let type = _typeName(Output.self, qualified: true)
  let typeName = _typeName(Output.self, qualified: false)
  /// The size of every result, when the type alone determines it.
  let nbytes: Int64?

  init() {
    let isPlain =
      _isPOD(Output.self) && !(Output.self is any ByteCounted.Type)
      && !(Output.self is any Collection.Type)
    nbytes = isPlain ? Int64(MemoryLayout<Output>.stride) : nil
  }
}

/// A result with what is told about it.
struct Outcome: Sendable {
  var value: any Sendable
  var nbytes: Int64
  var type: String
  var typeName: String

  init<Output: Sendable>(_ value: Output, _ type: OutcomeType<Output>) {
    self.value = value
    nbytes = type.nbytes ?? byteCount(of: value)
    self.type = type.type
    typeName = type.typeName
  }
}

/// A result that knows its own size.
public protocol ByteCounted {
  /// Bytes of memory that it takes up.
  var nbytes: Int64 { get }
}

/// How much memory a result takes up, as far as can be told without going through it: Dask's
/// `sizeof`.
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
