/// Values in the form `name=value`, or as `owner:name=value` if there are several owners.
struct NamedValues {
  private var values: [String: [String: String]] = [:]

  /// - Parameters:
  ///   - texts: the option's values.
  ///   - option: the name of that option.
  ///   - owners: the possible owners.
  ///   - ownerOption: the option that names an owner.
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
          throw Failure.usage("\(option) \(text): no \(ownerOption) names '\(owner)'")
        }
        name = String(name[name.index(after: colon)...])
      } else if owners.count > 1 {
        throw Failure.usage(
          "\(option) \(text): there are several \(ownerOption.dropFirst(2))s; "
            + "write \(owners[0]):\(text)")
      }
      values[owner, default: [:]][name] = String(text[text.index(after: equals)...])
    }
  }

  /// The values of one owner.
  subscript(owner: String) -> [String: String] { values[owner] ?? [:] }
}
