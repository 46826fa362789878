/// The environment variables of tasklog. `options.py` of the Python package and `Options.md` have
/// the same ones, which `EnvironmentTests` and `test_options_table.py` compare.
package enum EnvironmentVariable: String, CaseIterable, Sendable {
  // Options of all recorders; for Dask they are in lower case, without the beginning.
  case redact = "TASKLOG_REDACT"
  case maxArgsBytes = "TASKLOG_MAX_ARGS_BYTES"
  case includeHooks = "TASKLOG_INCLUDE_HOOKS"
  case excludeHooks = "TASKLOG_EXCLUDE_HOOKS"
  case includeKeys = "TASKLOG_INCLUDE_KEYS"
  case excludeKeys = "TASKLOG_EXCLUDE_KEYS"
  case includeSources = "TASKLOG_INCLUDE_SOURCES"
  case excludeSources = "TASKLOG_EXCLUDE_SOURCES"
  case rotateSize = "TASKLOG_ROTATE_SIZE"
  case rotateAge = "TASKLOG_ROTATE_AGE"
  case spoolLimit = "TASKLOG_SPOOL_LIMIT"
  case syncSeconds = "TASKLOG_SYNC_SECONDS"
  case closeSeconds = "TASKLOG_CLOSE_SECONDS"
  case keep = "TASKLOG_KEEP"
  case deliver = "TASKLOG_DELIVER"
  case deliverEvery = "TASKLOG_DELIVER_EVERY"
  case deliverSeconds = "TASKLOG_DELIVER_SECONDS"

  // Options of the recorder for Dask. A Swift recorder ignores them: they may be meant for one for
  // Dask in the same environment.
  case log = "TASKLOG_LOG"
  case labels = "TASKLOG_LABELS"
  case deep = "TASKLOG_DEEP"
  case workers = "TASKLOG_WORKERS"
  case stimuli = "TASKLOG_STIMULI"
  case heartbeats = "TASKLOG_HEARTBEATS"
  case messages = "TASKLOG_MESSAGES"
  case profile = "TASKLOG_PROFILE"
  case pickle = "TASKLOG_PICKLE"
  case maxValueBytes = "TASKLOG_MAX_VALUE_BYTES"
  case publish = "TASKLOG_PUBLISH"
  case publishQueue = "TASKLOG_PUBLISH_QUEUE"
  case publishBatch = "TASKLOG_PUBLISH_BATCH"
  case publishSpool = "TASKLOG_PUBLISH_SPOOL"
  case workerInterval = "TASKLOG_WORKER_INTERVAL"
  case workerSpool = "TASKLOG_WORKER_SPOOL"
  case workerSpoolLimit = "TASKLOG_WORKER_SPOOL_LIMIT"

  // Others.
  /// `1`: recorders do nothing.
  case disabled = "TASKLOG_DISABLED"
  /// For a broker whose address has none.
  case amqpUser = "TASKLOG_AMQP_USER"
  /// For a broker whose address has none.
  case amqpPassword = "TASKLOG_AMQP_PASSWORD"
  /// The memory that a user's SQL may take.
  case sqlMemory = "TASKLOG_SQL_MEMORY"
  /// The traits of a build.
  case traits = "TASKLOG_TRAITS"
  /// The library that the Python package loads.
  case lib = "TASKLOG_LIB"
  /// The command that the Python package runs.
  case program = "TASKLOG_PROGRAM"
  /// The folder of the module that Swift plugins are compiled against.
  case modules = "TASKLOG_MODULES"
  /// Set for a program that is run as a plugin: the id of the run.
  case run = "TASKLOG_RUN"
  /// Set for a process that a command starts: the log that it has resolved.
  case resolvedLog = "TASKLOG_RESOLVED_LOG"
  /// Set for the process of a replay that is watched.
  case watched = "TASKLOG_WATCHED"

  /// How the names of all variables begin.
  private static let beginning = "TASKLOG_"
  /// How names begin that are not listed here: credentials of brokers, options of a program that is
  /// run as a plugin, and settings of the tests.
  package static let otherBeginnings = ["TASKLOG_AMQP_", pluginOption, "TASKLOG_TEST_"]
  /// Followed by the name of an option of a program that is run as a plugin.
  package static let pluginOption = "TASKLOG_OPTION_"

  /// Whether a variable looks like one of tasklog and is none: it may be misspelt.
  package static func isUnknown(_ name: String) -> Bool {
    name.hasPrefix(beginning) && EnvironmentVariable(rawValue: name) == nil
      && !otherBeginnings.contains { name.hasPrefix($0) }
  }
}
