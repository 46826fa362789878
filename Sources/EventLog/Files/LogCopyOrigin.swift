import LogFormat

/// What a copy of a log that was made while its run was recorded says about itself: it cannot know
/// what happened later.
package struct LogCopyOrigin: Sendable, Equatable {
  /// When it was made; nanoseconds since 1970 UTC.
  package var time: Int64
  /// After how many nanoseconds the next one was to be made; `nil` if it was made on request.
  package var interval: Int64?

  /// A copy that is renewed regularly and is older than so many intervals is not renewed any more.
  package static let intervalsUntilStale: Int64 = 10

  package init(time: Int64, interval: Int64?) {
    self.time = time
    self.interval = interval
  }

  /// Whether the next copy is overdue: the run has died, or its copies do not arrive.
  package func isStale(at now: Int64) -> Bool {
    guard let interval else { return false }
    let (limit, overflow) = interval.multipliedReportingOverflow(by: Self.intervalsUntilStale)
    return !overflow && now.subtractingReportingOverflow(time).partialValue > limit
  }

  private static let names = (time: "copied_ns", interval: "copy_interval_ns")

  /// Reads what a log says; `nil` if it is no copy.
  ///
  /// - Throws: `SQLiteError`.
  package init?(_ connection: Connection) throws(SQLiteError) {
    func value(_ name: String) throws(SQLiteError) -> Int64? {
      try connection.integer("SELECT value FROM meta WHERE name = '\(name)'")
    }
    guard let time = try value(Self.names.time) else { return nil }
    self.init(time: time, interval: try value(Self.names.interval))
  }

  /// Writes it into a copy.
  ///
  /// - Throws: `SQLiteError`.
  package func write(to connection: Connection) throws(SQLiteError) {
    try connection.execute(
      """
      INSERT OR REPLACE INTO meta VALUES ('\(Self.names.time)', \(time));
      DELETE FROM meta WHERE name = '\(Self.names.interval)'
      """)
    guard let interval else { return }
    try connection.execute("INSERT INTO meta VALUES ('\(Self.names.interval)', \(interval))")
  }

  /// Removes it from a log that is recorded into.
  ///
  /// - Throws: `SQLiteError`.
  package static func remove(from connection: Connection) throws(SQLiteError) {
    try connection.execute(
      "DELETE FROM meta WHERE name IN ('\(names.time)', '\(names.interval)')")
  }
}
