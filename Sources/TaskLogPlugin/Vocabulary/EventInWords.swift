extension Event {
  /// The hook and its subject, for messages: "transition of 'a' from waiting to processing".
  public var summaryText: String {
    var words = hook.name
    if let key { words += " of '\(key)'" }
    if let start, let finish {
      words += " from \(start) to \(finish)"
    } else if let worker {
      words += key == nil ? " of \(worker)" : " on \(worker)"
    }
    return words
  }
}
