import LogFormat
import TaskLogPlugin

/// What a recorder was configured not to keep of a run.
package struct RecordingLimits: Sendable {
  /// Each option in force, with its patterns or its number; before them what was not recorded
  /// because of options, or of an untested version of Dask.
  package var options: [(name: String, value: String)]
  /// Whether events were filtered on purpose.
  package var isFiltered: Bool
  /// Whether a filter by hook has dropped events: then one change of a task's state need not follow
  /// from the previous one.
  package var hasHookFilter: Bool
  /// The version of Dask, if the recorder was not tested with it.
  package var untestedVersion: String?
  /// The kinds of state that were not recorded because of options or of that version.
  package var notRecorded: [String]

  init(_ metadata: Value) {
    options = []
    (isFiltered, hasHookFilter) = (false, false)
    untestedVersion = metadata[RunMetadataKey.untestedVersion]?.string
    notRecorded = metadata[RunMetadataKey.notRecorded]?.elements?.compactMap(\.string) ?? []
    if let untestedVersion { options.append((RunMetadataKey.untestedVersion, untestedVersion)) }
    if !notRecorded.isEmpty {
      options.append((RunMetadataKey.notRecorded, notRecorded.joined(separator: ", ")))
    }
    guard case .dict(let entries)? = metadata[RunMetadataKey.limits] else { return }
    for entry in entries {
      guard let name = entry.key.string else { continue }
      let patterns = entry.value.elements?.map { $0.string ?? JSONWriter.text($0) }
      options.append(
        (name, patterns?.joined(separator: ", ") ?? JSONWriter.text(entry.value)))
      let isFilter = name.hasPrefix("include") || name.hasPrefix("exclude")
      isFiltered = isFiltered || isFilter
      hasHookFilter = hasHookFilter || (isFilter && name.hasSuffix("Hooks"))
    }
  }

  /// The filters as text.
  package var filterText: String {
    options.filter { $0.name.hasPrefix("include") || $0.name.hasPrefix("exclude") }
      .map { "\($0.name) \($0.value)" }.joined(separator: "; ")
  }
}

/// The number of events of one hook that a filter has dropped.
package struct ExcludedEvents: Sendable {
  package var source: Source.Kind
  package var hook: String
  package var events: Int64
}

extension RunInfo {
  package var limits: RecordingLimits { RecordingLimits(metadata) }
}

extension LogReader {
  /// The events of a run that filters have dropped, as far as recorded.
  ///
  /// - Throws: `LogError`.
  package func excluded(of run: RunInfo) throws -> [ExcludedEvents] {
    guard run.limits.isFiltered, let first = run.firstSeq, let last = run.lastSeq else { return [] }
    return try translating {
      let isIndexed = try storedTaskCount(of: run) != nil
      let select = try connection.prepare(
        """
        SELECT source.kind, event.args
        FROM \(isIndexed ? "hook_event JOIN event ON event.seq = hook_event.seq" : "event")
        JOIN source ON source.id = event.source
        WHERE event.seq BETWEEN ? AND ? AND source.run = ?
          AND \(isIndexed ? "hook_event" : "event").hook
            = (SELECT id FROM text WHERE text = 'excluded')
        """)
      try select.bind(1, first)
      try select.bind(2, last)
      try select.bind(3, run.number)
      var sums: [ExcludedEvents] = []
      while try select.step() {
        let source = Source.Kind(rawValue: select.text(0)) ?? .worker
        guard case .dict(let hooks)? = (try? JSONReader.value(select.text(1)))?["hooks"] else {
          continue
        }
        for entry in hooks {
          guard let hook = entry.key.string, let events = entry.value.int, events > 0 else {
            continue
          }
          let place = sums.firstIndex { $0.source == source && $0.hook.sameBytes(as: hook) }
          if let place {
            sums[place].events = sums[place].events.addingReportingOverflow(events).partialValue
          } else {
            sums.append(ExcludedEvents(source: source, hook: hook, events: events))
          }
        }
      }
      return sums.sorted {
        ($0.source.rawValue, $1.events, $0.hook) < ($1.source.rawValue, $0.events, $1.hook)
      }
    }
  }
}
