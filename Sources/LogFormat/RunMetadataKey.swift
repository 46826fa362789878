/// The keys of a run's metadata (`run.metadata`, a JSON object) that tasklog itself reads or writes.
package enum RunMetadataKey {
  /// The previous and the next segment of a rotated run: file names next to this one.
  package static let previousSegment = "continues"
  package static let nextSegment = "continued"
  /// Whether the log contains only a part of the run, as it came from a queue.
  package static let isPartial = "partial"
  /// The last seq of each source, by source id; for partial runs whose end is known.
  package static let lastSeqs = "last_seqs"
  /// Whether events were stored in an order other than the one in which they happened.
  package static let isUnordered = "unordered"
  /// The hashes of the keys whose stories a rotated run retains; see `FailureRetention`.
  package static let retainedKeys = "keptKeys"
  /// What the recorder limited, filtered and redacted.
  package static let limits = "limits"
  package static let redacted = "redact"
  /// Whether events of workers are recorded, and where workers keep their spools.
  package static let workers = "workers"
  package static let workerSpool = "worker_spool"
  /// Whether stimuli that change state without a hook are recorded.
  package static let stimuli = "stimuli"
  /// The version of Dask, if the recorder was not tested with it, and the state that it was told not
  /// to record.
  package static let untestedVersion = "untested_version"
  package static let notRecorded = "not_recorded"
  /// Where copies of the log are delivered, and what could not be; see `Delivery`.
  package static let delivery = "delivery"
  /// When a log was copied while the run was recorded, in nanoseconds since 1970 UTC.
  package static let copied = "copied"
  /// After how many nanoseconds the next copy was to be made; none if copies are made on request.
  package static let copyInterval = "copy_interval"
  package static let host = "host"
  /// What else identifies where the scheduler ran: its node, container, pod and batch job.
  package static let identity = "identity"
  package static let processID = "pid"
  package static let user = "user"
  /// The process that requested the recording, if it is not the recorder's own: its `host`, `user`,
  /// `git_revision` and `command_line`.
  package static let caller = "caller"
  package static let gitRevision = "git_revision"
}
