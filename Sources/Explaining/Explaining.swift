//===----------------------------------------------------------------------===//
// Explaining: why a task ran when and where it did and ended as it did, and what unfinished tasks wait
// for.
//
// What it does: walks through the events of both state machines and says in sentences what they prove,
// each with the seqs of these events.
//
// What it may import: EventLog, LogAnalysis, LogFormat, Querying, Replaying, Scheduling,
// TaskLogPlugin.
//
// What it promises: a reason is one that the log shows. Where it shows none, that is said.
//===----------------------------------------------------------------------===//
