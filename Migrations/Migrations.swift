/// The SQL that brings a log file up to date, one file a version, embedded into the binary.
public enum Migrations {
  /// Version and SQL in UTF-8, oldest first. Version n is the n-th.
  public static var all: [(version: Int32, sql: [UInt8])] {
    [
      (1, PackageResources.v0001_initial_sql),
      (2, PackageResources.v0002_format_2_sql),
    ]
  }

  /// The SQL of the views that no file has: a reader adds them, with the functions that they need.
  public static var readerViews: [UInt8] { PackageResources.reader_views_sql }
}
