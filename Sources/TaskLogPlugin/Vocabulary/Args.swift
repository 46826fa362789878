/// What a hook was called with beyond its fixed parameters: Python's `*args` and `**kwargs`.
///
/// Args that come out of a log are decoded when someone looks at them, so that a plugin that does
/// not look pays nothing. Keep `content` in a variable when looking at several of them.
public struct Args: Sendable {
  /// One keyword argument.
  public struct Argument: Sendable, Hashable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  /// Decoded args.
  public struct Content: Sendable, Hashable {
    public var positional: [Value]
    /// In the order of the call.
    public var named: [Argument]

    public init(positional: [Value] = [], named: [Argument] = []) {
      self.positional = positional
      self.named = named
    }

    /// The keyword argument of this name.
    public subscript(name: String) -> Value? {
      named.first { $0.name.sameBytes(as: name) }?.value
    }
  }

  package indirect enum Storage: Sendable {
    case empty
    case content(Content)
    case encoded(EncodedJSON)
    // What our own engine has to say; see `ArgsFacts.swift`.
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
  public static let none = Args()

  public init() {
    storage = .empty
  }

  public init(_ content: Content) {
    storage = content.positional.isEmpty && content.named.isEmpty ? .empty : .content(content)
  }

  public init(positional: [Value] = [], named: [Argument]) {
    self.init(Content(positional: positional, named: named))
  }

  /// Args as they stand in a log.
  public init(json: EncodedJSON) {
    storage = .encoded(json)
  }

  public var isEmpty: Bool {
    switch storage {
    case .empty: true
    case .content, .run, .compute, .graph, .keys: false
    case .encoded: content.positional.isEmpty && content.named.isEmpty
    }
  }

  /// Whether a log has nothing in their place.
  package var isAbsent: Bool {
    if case .empty = storage { return true }
    return false
  }

  /// The args, decoded. What cannot be read is one argument `$unreadable`.
  public var content: Content {
    switch storage {
    case .empty: Content()
    case .content(let content): content
    case .encoded(let json): Self.decode(json)
    case .run(let facts): Content(named: facts.arguments)
    case .compute(let facts): Content(named: facts.arguments)
    case .graph(let facts): Content(named: facts.arguments)
    case .keys(let facts): Content(named: facts.arguments)
    }
  }

  /// The keyword argument of this name.
  public subscript(name: String) -> Value? {
    if case .content(let content) = storage { return content[name] }
    return content[name]
  }

  /// The args as they stand in a log; nothing where they do not come out of one.
  package var encoded: EncodedJSON? {
    if case .encoded(let json) = storage { return json }
    return nil
  }

  /// The JSON of the log.
  public var json: String {
    if case .encoded(let json) = storage { return json.text }
    return JSONWriter.text(self)
  }

  private static func decode(_ json: EncodedJSON) -> Content {
    (try? json.value()).map(decode) ?? decode(.null)
  }

  /// Args as the value that their JSON is read as.
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
  /// Args that hold nothing but `$args` read as a tagged value; this gives the object back.
  fileprivate var asPlainDictionary: Value {
    if case .tagged(let name, let value) = self { return .dict([Entry(.string(name), value)]) }
    return self
  }
}

extension Args: Equatable {
  public static func == (a: Args, b: Args) -> Bool { a.content == b.content }
}

/// JSON as it stands in a log, with the way to the bytes that were interned elsewhere in it.
public struct EncodedJSON: Sendable {
  public let text: String
  let blobs: (any BlobSource)?

  public init(_ text: String, blobs: (any BlobSource)? = nil) {
    self.text = text
    self.blobs = blobs
  }

  /// The interned bytes that the text names; nothing when they cannot be had.
  package func blob(hash: String) -> [UInt8]? { blobs?.blob(hash: hash) }

  /// - Throws: `JSONError`.
  public func value() throws(JSONError) -> Value {
    var text = text
    let result: Result<Value, JSONError> = text.withUTF8 { bytes in
      var reader = JSONReader(bytes, blobs: blobs)
      return Result { () throws(JSONError) in try reader.document() }
    }
    return try result.get()
  }
}

/// Where interned bytes are found.
public protocol BlobSource: AnyObject, Sendable {
  /// The bytes with this hash, or nothing when there are none or they cannot be read.
  func blob(hash: String) -> [UInt8]?
}
