//===----------------------------------------------------------------------===//
// Replaying: replay of a log through plugins.
//
// What it does: reads the events of a run in causal order and calls plugins with them as a live
// scheduler and its workers would, with the state rebuilt by `apply(_:)`.
//
// What it may import: TaskLogPlugin, EventLog. Nothing from Foundation.
//
// What it promises: a plugin ends in the state that it had live. A plugin that throws is reported
// and does not affect the others. No action of a plugin reaches a cluster.
//===----------------------------------------------------------------------===//
