/// What a hook was called with beyond its fixed parameters: Python's `*args` and `**kwargs`.
///
/// Args from a log are decoded on access, so that a plugin that does not read them pays nothing.
/// Keep `content` in a variable when reading several of them.
public struct Args: Sendable {
  /// One keyword argument.
  public struct Argument: Sendable, Hashable {
    public var name: String
    public var value: Value

    package init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  /// Decoded args.
  public struct Content: Sendable, Hashable {
    public var positional: [Value]
    /// In the order of the call.
    public var named: [Argument]

    package init(positional: [Value] = [], named: [Argument] = []) {
      self.positional = positional
      self.named = named
    }

    /// The keyword argument of this name; the last one, should a log have several.
    public subscript(name: String) -> Value? {
      named.last { $0.name.sameBytes(as: name) }?.value
    }
  }

  package indirect enum Storage: Sendable {
    case empty
    case content(Content)
    case encoded(EncodedJSON)
    // Args made by our own engine; see `ArgsFacts.swift`.
    case run(RunReport)
    case compute(ComputeRequest)
    case graph(GraphSubmission)
    case keys(ClientKeys)
  }

  package let storage: Storage

  init(storage: Storage) {
    self.storage = storage
  }

  /// No args.
  @usableFromInline package static let none = Args()

  package init() {
    storage = .empty
  }

  package init(_ content: Content) {
    storage = content.positional.isEmpty && content.named.isEmpty ? .empty : .content(content)
  }

  package init(positional: [Value] = [], named: [Argument]) {
    self.init(Content(positional: positional, named: named))
  }

  /// Args as encoded in a log.
  package init(json: EncodedJSON) {
    storage = .encoded(json)
  }

  public var isEmpty: Bool {
    switch storage {
    case .empty: true
    case .content, .run, .compute, .graph, .keys: false
    case .encoded: content.positional.isEmpty && content.named.isEmpty
    }
  }

  /// Whether there are no args in a log either.
  package var isAbsent: Bool {
    if case .empty = storage { return true }
    return false
  }

  /// The decoded args. Undecodable args become one argument `$unreadable`.
  public var content: Content {
    switch storage {
    case .empty: Content()
    case .content(let content): content
    case .encoded(let json): Self.decode(json)
    case .run(let report): Content(named: report.arguments)
    case .compute(let request): Content(named: request.arguments)
    case .graph(let submission): Content(named: submission.arguments)
    case .keys(let clientKeys): Content(named: clientKeys.arguments)
    }
  }

  /// The keyword argument of this name.
  public subscript(name: String) -> Value? {
    if case .content(let content) = storage { return content[name] }
    return content[name]
  }

  /// The encoded args; `nil` if they do not come from a log.
  package var encoded: EncodedJSON? {
    if case .encoded(let json) = storage { return json }
    return nil
  }

  /// The JSON of the log.
  package var json: String {
    if case .encoded(let json) = storage { return json.text }
    return JSONWriter.text(self)
  }

  private static func decode(_ json: EncodedJSON) -> Content {
    (try? json.value()).map(decode) ?? decode(.null)
  }

  /// Args decoded from the value of their JSON.
  package init(recorded value: Value) {
    self.init(Self.decode(value))
  }

  private static func decode(_ value: Value) -> Content {
    guard case .dict(let entries) = value.asPlainDictionary else {
      return Content(named: [Argument("$unreadable", .opaque("unreadable"))])
    }
    var content = Content()
    for entry in entries {
      guard case .string(let name) = entry.key else { continue }
      switch (name, entry.value) {
      case ("$args", .list(let values)): content.positional = values
      case ("$kwargs", .dict(let entries)):
        for entry in entries {
          if case .string(let name) = entry.key {
            content.named.append(Argument(name, entry.value))
          }
        }
      default: content.named.append(Argument(name, entry.value))
      }
    }
    return content
  }
}

extension Value {
  /// Args that hold only `$args` are read as a tagged value; this restores the object.
  fileprivate var asPlainDictionary: Value {
    if case .tagged(let name, let value) = self { return .dict([Entry(.string(name), value)]) }
    return self
  }
}

extension Args: Equatable {
  public static func == (a: Args, b: Args) -> Bool { a.content == b.content }
}

/// JSON of a log, with access to the bytes that were interned elsewhere in the log.
public struct EncodedJSON: Sendable {
  package let text: String
  let blobs: (any BlobSource)?

  package init(_ text: String, blobs: (any BlobSource)? = nil) {
    self.text = text
    self.blobs = blobs
  }

  /// The interned bytes with this hash; `nil` if they are not available.
  package func blob(hash: String) -> [UInt8]? { blobs?.blob(hash: hash) }

  /// - Throws: `JSONError`.
  package func value() throws(JSONError) -> Value {
    var text = text
    let result: Result<Value, JSONError> = text.withUTF8 { bytes in
      var reader = JSONReader(bytes, blobs: blobs)
      return Result { () throws(JSONError) in try reader.document() }
    }
    return try result.get()
  }
}

/// Provides interned bytes.
package protocol BlobSource: AnyObject, Sendable {
  /// The bytes with this hash; `nil` if there are none or they cannot be read.
  func blob(hash: String) -> [UInt8]?
}
