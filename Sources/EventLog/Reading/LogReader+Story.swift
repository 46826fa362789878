import TaskLogPlugin

/// Stories: all events about a key or a stimulus.
extension LogReader {
  /// What the events of a story have in common, by row ID in the file.
  package enum Subject: Sendable {
    case key(Int64)
    case stimulus(Int64)
  }

  /// The keys of a name (see `KeyPattern`, but without patterns), or else the stimulus.
  ///
  /// - Throws: `LogError`.
  package func subjects(named name: String) throws -> [Subject] {
    try translating {
      let exact = KeyPattern.exact(name)
      let findKeys = try connection.prepare(
        "SELECT id FROM key WHERE text = ? AND typed IS coalesce(?, typed) ORDER BY id")
      try findKeys.bind(1, exact?.text ?? name)
      if let exact { try findKeys.bind(2, exact.typed) }
      var subjects: [Subject] = []
      while try findKeys.step() { subjects.append(.key(findKeys.integer(0))) }
      guard subjects.isEmpty else { return subjects }
      let findText = try connection.prepare("SELECT id FROM text WHERE text = ?")
      try findText.bind(1, name)
      while try findText.step() { subjects.append(.stimulus(findText.integer(0))) }
      return subjects
    }
  }

  /// All events of a run about a key or a stimulus, causes before effects.
  ///
  /// `CausalOrder` relates only events of the same key, so that the events of a story can be
  /// ordered by themselves.
  ///
  /// - Throws: `LogError`.
  package func story(of subject: Subject, in run: RunInfo) throws -> [RecordedEvent] {
    let sources = try sources(of: run)
    let schedulers = Set(sources.filter { $0.source.kind == .scheduler }.map(\.number))
    let known = Set(sources.map(\.number))
    let (column, number) =
      switch subject {
      case .key(let number): ("key", number)
      case .stimulus(let number): ("stimulus", number)
      }
    return try translating {
      let decoder = EventDecoder(reader: self, blobs: blobs)
      let select = try connection.prepare(
        "SELECT \(EventDecoder.columns) FROM event WHERE \(column) = ? ORDER BY seq")
      try select.bind(1, number)
      var page = EventPage()
      while try select.step() {
        let source = select.integer(1)
        guard known.contains(source) else { continue }
        page.append(select, seq: select.integer(0), source: source, isWanted: true)
      }
      try decoder.findRoles(of: &page) { schedulers.contains($0) }
      decoder.take(&page, keepingOlder: false)
      var ordered: [EventRow] = []
      var order = CausalOrder<EventRow>(schedulers: schedulers) { _, _ in false }
      try order.add(page.rows, to: &ordered)
      try order.finish(&ordered)
      return try ordered.compactMap { try decoder.event($0) }
    }
  }
}
