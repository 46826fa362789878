/// What is said as `name=value` to one of several: `owner:name=value`, where there are several.
struct NamedValues {
  private var values: [String: [String: String]] = [:]

  /// - Parameters:
  ///   - texts: as they were given.
  ///   - option: the option that they were given with.
  ///   - owners: whom they may be for.
  ///   - ownerOption: the option that names one of those.
  /// - Throws: `Failure`.
  init(_ texts: [String], option: String, owners: [String], ownerOption: String) throws {
    for text in texts {
      guard let equals = text.firstIndex(of: "=") else {
        throw Failure.usage("\(option) \(text): expected name=value")
      }
      var name = String(text[..<equals])
      var owner = owners[0]
      if let colon = name.lastIndex(of: ":") {
        owner = String(name[..<colon])
        guard owners.contains(owner) else {
          throw Failure.usage("\(option) \(text): there is no \(ownerOption) \(owner)")
        }
        name = String(name[name.index(after: colon)...])
      } else if owners.count > 1 {
        throw Failure.usage(
          "\(option) \(text): there are several \(ownerOption.dropFirst(2))s; write \(owners[0]):\(text)"
        )
      }
      values[owner, default: [:]][name] = String(text[text.index(after: equals)...])
    }
  }

  /// Those that are meant for one.
  subscript(owner: String) -> [String: String] { values[owner] ?? [:] }
}
