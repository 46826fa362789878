import TaskLogPlugin

/// Parts of sentences.
enum Words {
  /// `a, b and c`.
  static func list(_ words: [String]) -> String {
    guard let last = words.last else { return "none" }
    return words.count == 1 ? last : "\(words.dropLast().joined(separator: ", ")) and \(last)"
  }

  static func amount(_ resource: Resource) -> String {
    let number = Int64(exactly: resource.amount).map { "\($0)" } ?? "\(resource.amount)"
    return "\(number) of \(resource.name)"
  }
}

extension TaskState {
  /// Whether it may run on a worker, as far as it is restricted to some.
  func isAllowed(on worker: WorkerInfo) -> Bool {
    workerRestrictions.isEmpty || looseRestrictions || workerRestrictions.contains(worker.address)
      || workerRestrictions.contains(worker.host)
  }

  /// The resources that it needs, as words.
  var needs: [String] { resourceRestrictions.map(Words.amount) }
}
