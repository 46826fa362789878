import EventLog
import LogFormat
import Migrations

/// Checks of what the file says that it has: tables, indexes, views.
extension LogCheck {
  /// Finds out whether statements of ours run nothing but SQL of ours, and reports what else is in the
  /// file.
  ///
  /// - Returns: the objects under other names; `nil` if nothing may be read.
  func surveySchema() -> [String]? {
    do {
      let version = try connection.integer("PRAGMA user_version") ?? 0
      let isDamaged = try connection.integer("PRAGMA writable_schema") == 1
      let survey = try SchemaSurvey(
        connection, isNewer: version > LogFile.newestVersion, isDamaged: isDamaged)
      for objection in survey.objections + survey.writingObjections {
        list.add(
          .foreignSchema, subject: objection, at: path,
          "\(objection): it may run SQL of others, so the log is not used; 'tasklog recover --into NEW' "
            + "saves its events")
      }
      // Those of a newer version are unknown, but its own.
      guard version <= LogFile.newestVersion else { return survey.objections.isEmpty ? [] : nil }
      let others = survey.others.map { "\($0.type) '\($0.name)'" }.sorted()
      if !others.isEmpty {
        let shown = others.prefix(Self.othersShown).joined(separator: ", ")
        let more = others.count - Self.othersShown
        list.add(
          .otherObject, count: Int64(others.count), at: path,
          "\(shown)\(more > 0 ? " and \(more) more" : "") of another program: left alone, never read"
        )
      }
      guard survey.objections.isEmpty else { return nil }
      // SQLite then accepts rows of its schema that say one name and have SQL with another.
      guard !isDamaged || others.isEmpty else {
        reportUnreadable("schema", "it is damaged, and has objects of another program")
        return nil
      }
      return others
    } catch {
      reportUnreadable("schema", error.message)
      return nil
    }
  }

  private static let othersShown = 10

  /// Checks that tables, indexes and views are those of the file's version.
  func checkSchema() throws {
    let version = try connection.integer("PRAGMA user_version") ?? 0
    if version > LogFile.newestVersion {
      list.add(
        .newerVersion, at: path,
        "is of format version \(version), this tasklog knows up to \(LogFile.newestVersion); what is "
          + "new in it is not checked")
      return
    }
    let expected = try Connection(path: "", mode: .memory)
    for migration in Migrations.all where Int64(migration.version) <= version {
      try expected.execute(String(decoding: migration.sql, as: UTF8.self))
    }
    let existing = try Self.objects(connection)
    for (name, object) in try Self.objects(expected).sorted(by: { $0.key < $1.key }) {
      guard let sql = existing[name]?.sql else {
        list.add(
          .missingObject, subject: name, at: name,
          "the \(object.type) is missing; 'tasklog recover --into NEW' rebuilds the log")
        continue
      }
      guard object.type != "view" || isWorking(name) else { continue }
      // What matters of a table or an index has been surveyed.
      if sql != object.sql, object.type == "view" {
        list.add(
          .changedObject, subject: name, at: name,
          "the view differs from that of format version \(version); readers have their own instead")
      }
    }
  }

  private func isWorking(_ view: String) -> Bool {
    do {
      _ = try connection.prepare("SELECT * FROM main.\(view)")
      return true
    } catch {
      list.add(.brokenView, subject: view, at: view, "cannot be asked: \(error.message)")
      return false
    }
  }

  private static func objects(
    _ connection: Connection
  ) throws -> [String: (type: String, sql: String)] {
    let select = try connection.prepare(
      "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    var objects: [String: (String, String)] = [:]
    while try select.step() { objects[select.text(0)] = (select.text(1), select.text(2)) }
    return objects
  }
}
