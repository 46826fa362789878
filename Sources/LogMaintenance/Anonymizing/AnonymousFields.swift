import LogFormat

/// What a field of args, of a snapshot or of the metadata of a run contains.
indirect enum FieldContent: Sendable {
  /// Fields with names that are listed here. Other names become pseudonyms, and what they contain is
  /// of kind `name`.
  case fields
  /// A word of `AnonymousWords`, or fields. Other text becomes a pseudonym.
  case word
  /// Any value, of which all text becomes a pseudonym, also the names in dictionaries.
  case name
  /// A key, or several.
  case key
  /// Keys, or structures of tasks.
  case tasks
  /// The name of a prefix or a group, or several.
  case group
  /// A dictionary by key, by the name of a prefix or group, or by any other name.
  case byKey(FieldContent)
  case byGroup(FieldContent)
  case byName(FieldContent)
  /// A dictionary by word.
  case byWord(FieldContent)
  /// Annotations by name, and those of a graph: by name, then by key.
  case annotations
  case annotationsByKey
  /// The names of what a worker measured: tuples of words, and of a prefix in the middle.
  case measures
  /// The tasks that have failed, each a list.
  case failedTasks
  case stimulus
  case processID
  case version
  /// Versions by the name of the package.
  case packages
  /// Text that is a number, or a number with a unit of time.
  case numberText
  case duration
  case exceptionText
  case exception
  case tracebackText
  case traceback
  /// A pickle of the type of a result, or its name.
  case type
  case message
  case code
  case profile
  case profileNodes
}

/// What the known fields contain, by their names.
enum AnonymousFields {
  static func content(of name: String) -> FieldContent? { all[name] }

  /// Annotations that Dask and tasklog read.
  static let annotations: [String: FieldContent] = [
    "priority": .name, "retries": .name, "workers": .name, "allow_other_workers": .name,
    "resources": .byName(.name), "span": .fields, "tasklog_job": .name, "shuffle": .name,
  ]

  /// The entries of a run's metadata that are local to its file, or from which keys could be guessed.
  static let localMetadata: Set<String> = [
    RunMetadataKey.previousSegment, RunMetadataKey.nextSegment, RunMetadataKey.retainedKeys,
    RunMetadataKey.isUnordered, RunMetadataKey.delivery,
  ]
  static let commandLine = "command_line"

  private static let all: [String: FieldContent] = {
    var all: [String: FieldContent] = [:]
    for (content, names) in lists {
      for name in names.split(whereSeparator: \.isWhitespace) { all[String(name)] = content }
    }
    return all
  }()

  private static let lists: [(FieldContent, String)] = [
    (
      .fields,
      """
      task graph worker workers client scheduler attach spans startstops startStops settings \
      lengths loads sums limits computations task_counts transfer extensions spilled_bytes \
      host_disk_io host_net_io states state_counts _all_durations_us services caller identity job \
      metrics bandwidth host plugins versions threads
      """
    ),
    (
      .word,
      """
      action op kind for target level logger status state events message recommends previous next \
      prev-status missing not_recorded hook manager topic failed mode plugin report OS machine \
      byteorder MEMORY_REBALANCE_MEASURE
      """
    ),
    (
      .key,
      """
      key keys cause blame waitingOn waiters waitingForData hasWhat longRunning actors \
      dependencies dependents stolen
      """
    ),
    (.key, "lost-computed-tasks lost-scattered-tasks processing-tasks stolen"),
    (.tasks, "tasks"),
    (.group, "prefix"),
    (.byKey(.name), "priority who_has nbytes executing"),
    (.byKey(.word), "recommendations"),
    (.byGroup(.key), "unknownDurations"),
    (.byGroup(.duration), "durations"),
    (.byGroup(.fields), "prefixes groups"),
    (.byName(.fields), "clients hosts topics"),
    (
      .byName(.name),
      """
      resources resource_restrictions resourceRestrictions usedResources used_resources \
      availableResources types _types labels bandwidth_types bandwidth_workers last_seqs
      """
    ),
    (.byName(.key), "inFlightWorkers"),
    (.byWord(.name), "hooks"),
    (.annotations, "annotations"),
    (.measures, "digests_total_since_heartbeat cumulative_worker_metrics"),
    (.failedTasks, "erredTasks"),
    (.stimulus, "stimulus_id reason"),
    (.processID, "pid workerPID"),
    (
      .version,
      "python dask OS-release python-bits untested_version engine_version recorder_version"
    ),
    (.packages, "packages"),
    (.numberText, "SLURM_JOB_END_TIME"),
    (.exceptionText, "exceptionText exception_text error"),
    (.exception, "exception"),
    (.tracebackText, "tracebackText traceback_text"),
    (.traceback, "traceback"),
    (.type, "type"),
    (.message, "text"),
    (.code, "code"),
    (.profile, "frames"),
    (.profileNodes, "nodes"),
    (.name, namesOfMeasures),
    (.name, namesOfOtherFields),
  ]

  private static let namesOfMeasures = """
    cpu memory time event_loop_interval managed_bytes num_fds read_bps write_bps incoming_bytes \
    incoming_count incoming_count_total outgoing_bytes outgoing_count outgoing_count_total disk \
    total late host_disk_io.read_bps host_disk_io.write_bps host_net_io.read_bps \
    host_net_io.write_bps ready constrained cancelled resumed waiting queued processing no-worker \
    erred released forgotten fetch flight rescheduled long-running long_running \
    compute disk-read disk-write deserialize
    """

  private static let namesOfOtherFields = """
    MEMORY_REBALANCE_HALF_GAP MEMORY_REBALANCE_RECIPIENT_MAX MEMORY_REBALANCE_SENDER_MIN \
    MEMORY_RECENT_TO_OLD_TIME UNKNOWN_TASK_DURATION WORKER_SATURATION _duration_us _size actor \
    address allowedFailures at bootID branching-factor comingFrom \
    compute_duration containerID count counter dashboard dataProducer depth done \
    dropped duration duration_average duration_seconds erredOn erred_tasks executed_count exitcode \
    expected extra failed_node force function generation git_revision groupName hasLostDependencies \
    hasRunSpec hostname hostRestrictions id idle idle_task_count idle_timeout idempotent ids \
    interval isActor key-count key_collisions known labels last-seen lastSeen lastWorker \
    last_worker_tasks_left lease length life localDirectory looseRestrictions \
    materialization_duration_seconds max_exec_time memoryLimit memoryUnmanagedHistory \
    memoryUnmanagedOld metadata min n nTasks name namespace nanny names nbytes_total new_tasks \
    no_workers_timeout node nodeName nthreads object omitted ordering_duration_seconds order \
    outOfMemoryKills partial pod podUID processingOn processor queueable redact retries \
    rootish_tg_dependencies_threshold rootish_tg_threshold round_trip rss samples saturated \
    scheduler_delay serverID server_id signal source span spanID span_id spool start \
    startTime start_timestamp_seconds state_initialization_duration_seconds stop stopTime \
    suspicious suspiciousCount taskMetadata taskRunID thread timeDelay timeout time_started \
    total_nbytes transfer_incoming_bytes transfer_incoming_bytes_limit \
    transfer_incoming_count_limit transfer_message_bytes_limit transitionCounter transition_counter \
    transition_log ttl typeName typename used user value waited whoHas whoWants who workerRestrictions \
    workerSaturation worker_spool worker_ttl at_ns attribute remove close_workers more LANG LC_ALL \
    copied copy_interval allow_other_workers description answer \
    SLURM_JOB_ID SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_STEP_ID SLURMD_NODENAME LSB_JOBID \
    LSB_JOBINDEX PBS_JOBID PBS_ARRAY_INDEX FLUX_JOB_ID OAR_JOB_ID \
    includeHooks excludeHooks includeKeys excludeKeys includeSources excludeSources \
    redactedArgs maximumArgsBytes $unreadable
    """
}
