//===----------------------------------------------------------------------===//
// LogAnalysis: what a log says about a run.
//
// What it does: Summaries, failures and their causes, states at a point in time, workers, task
// graphs, critical paths, differences of two runs. Each is computed here, once; the command
// line, the page and the exports present it.
//
// What it may import: EventLog and what is below it. Nothing from Foundation.
//
// What it promises: If a view says the same for SQL users, a test checks that the two are equal.
//===----------------------------------------------------------------------===//
