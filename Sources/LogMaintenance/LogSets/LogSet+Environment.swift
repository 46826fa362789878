import EventLog

extension LogSet {
  /// What a program does while its logs are resolved.
  package struct Environment {
    /// Called with each file before it is read, such as to recover the spools of dead recorders.
    package var prepare: (_ path: String) throws -> Void = { _ in }
    /// Called before a folder with temporary files is created, see `ScratchFolder.removeAll`.
    package var willCreateScratch: () -> Void = {}
    /// Makes a function that is called with the number of merged events so far, and with `nil` at
    /// the end.
    package var progress: (_ total: Int64) -> (_ merged: Int64?) -> Void = { _ in { _ in } }
    /// Called on any thread.
    package var warn: @Sendable (_ message: String) -> Void = { _ in }
    /// Called with a log of a folder or of a pattern that cannot be read. Its runs are left out.
    package var omit: (_ log: Archive.Unreadable) -> Void = { _ in }
    /// Whether merged logs are kept for later commands.
    package var keepsJoined = true

    package init() {}
  }

  /// How many parts there are.
  package enum Mode: Sendable {
    /// One for each file: nothing is merged, not even the segments of a run.
    case files
    /// One for each name: the segments of rotated runs are merged.
    case names
    /// One for each group of logs that have parts of the same run.
    case groups
    /// One: all logs are merged, and the selector selects runs of the merged log.
    case one
    /// One with the selected runs of each log, unless they are all of one group.
    case oneOfSelections
  }

  /// A log to read.
  package struct Part: Sendable {
    /// The path of the file to read.
    package var path: String
    /// The name to show.
    package var name: String
    /// The selector of its runs.
    package var selector: String
    /// The number of logs it was merged from.
    package var originCount = 1
    /// The segments of rotated runs that were merged; empty if none were.
    package var segments: [String] = []
    /// The IDs of the selected runs, if the selector does not say it.
    var selected: Set<String>?

    package init(path: String, name: String? = nil, selector: String) {
      (self.path, self.name, self.selector) = (path, name ?? path, selector)
    }

    /// - Throws: `LogError`.
    package func reader(keptKeys: Int = 1 << 17) throws -> LogReader {
      try LogReader(path: path, name: name, originCount: originCount, keptKeys: keptKeys)
    }

    /// The selected runs.
    ///
    /// - Parameter reader: a reader of this part.
    /// - Throws: `LogError`.
    package func runs(_ reader: LogReader) throws -> [RunInfo] {
      guard let selected else { return try reader.runs(matching: selector) }
      return try reader.runs().filter { selected.contains($0.id) }
    }

    /// What `RunSelector` takes for the selected runs if they are one or all; else `nil`.
    package var singleSelector: String? {
      guard let selected else { return selector }
      return selected.count == 1 ? selected.first : nil
    }
  }
}
