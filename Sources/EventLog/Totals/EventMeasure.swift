/// What the totals of a log need of an event that was just inserted: row IDs of texts, sizes of its JSON.
struct EventMeasure {
  var hook: Int64 = 0
  var key: Int64?
  /// Whether the key was not in the file before, so that no other event has it.
  var isKeyNew = false
  /// Whether a task became erred with it.
  var isFailure = false
  var argsBytes = 0
  var snapshotBytes = 0
  var marks = ValueMarks()
}
