// What the probe of the recorder needs from C.
#ifndef TASKLOG_PROBE_H
#define TASKLOG_PROBE_H

#include <stdint.h>

/// How many allocations this thread has made. Every `malloc` of the process goes through this
/// target, which counts it and hands it on.
uint64_t probe_allocations(void);

/// `fork`, which Swift does not let anyone call.
int probe_fork(void);

#endif
