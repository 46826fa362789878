/* The flight recorder of task schedulers, for hosts in C and whatever calls C.
 *
 * A recorder is a number above 0, a source of events (a scheduler, a worker) a number from 0 on. A
 * function that cannot do what it is asked answers with one of the negative numbers below, and
 * tasklog_last_error has the words. Any thread may call any function. In the child of a fork the
 * parent's recorders are not there; the child may open its own.
 */
#ifndef TASKLOG_H
#define TASKLOG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TASKLOG_ABI 1

#define TASKLOG_BAD_ARGUMENT (-1)
#define TASKLOG_BAD_HANDLE (-2)
#define TASKLOG_CANNOT_WRITE (-3)
#define TASKLOG_CLOSED (-4)
#define TASKLOG_DISABLED (-5)
#define TASKLOG_TIMEOUT (-6)

/* TASKLOG_ABI of the library. */
int32_t tasklog_abi(void);

/* Opens a log (makes it where there is none), begins a run and starts the thread that writes. With the
 * option publish, the address of a broker (amqp://...), events are published to it, too, and nowhere
 * else where log is NULL; publish_queue, publish_batch (events to a message) and publish_spool (the
 * folder where they wait) go with it. That needs a library built with RabbitMQ.
 * Options are JSON or NULL: engine, engine_version, mode, metadata, spool_limit, segment_size,
 * sync_seconds, close_seconds, max_args_bytes, rotate_bytes, rotate_seconds, worker_spools (a folder:
 * what dead workers have left there of earlier runs is put into the log), and lists of patterns:
 * include_hooks, exclude_hooks, include_keys, exclude_keys, include_sources, exclude_sources. */
int64_t tasklog_open(const char *log, const char *options);

/* Copies the id of the run, with a NUL at its end; answers with its length. */
ptrdiff_t tasklog_run(int64_t recorder, char *buffer, size_t capacity);

/* Adds a source. kind is "scheduler" or "worker", id the engine's server id, name JSON or NULL. One
 * that has been added before keeps its number. */
int32_t tasklog_source(
    int64_t recorder, const char *kind, const char *id, const char *address, const char *name);

/* Records an event: a MessagePack array [time, hook, key, start, finish, stimulus, worker, task run,
 * args, snapshot]; see Sources/LogFormat/MessagePack/SpoolRecord.swift. Answers with its number. When
 * this has returned, the event survives the death of the process. */
int64_t tasklog_put(int64_t recorder, int32_t source, const void *event, size_t length);

/* Records events of a source that numbers them itself; see SourceRecord.swift in the same folder.
 * Answers with the number of the last one that is recorded; what comes twice is left out. */
int64_t tasklog_put_records(int64_t recorder, int32_t source, const void *records, size_t length);

/* Puts records of a worker of an earlier run into the log, where that has the run and it is over: what
 * a dead worker has left in its spool. May take a while. Answers 0 when they are there. */
int32_t tasklog_put_left(
    int64_t recorder, const char *run, const char *id, const char *address, const char *name,
    const void *records, size_t length);

/* Notes that so many events from here on are missing, and why. */
int32_t tasklog_gap(int64_t recorder, int32_t source, int64_t count, const char *reason);

/* Waits until what has been recorded is in the log, and confirmed by the broker. */
int32_t tasklog_flush(int64_t recorder, double seconds);

/* How far a source has come: the number of its last event, and how many of them were lost. Answers
 * with how many counters there are. */
int32_t tasklog_counters(int64_t recorder, int32_t source, int64_t *counters, size_t capacity);

/* Writes out what is left and ends the run. */
int32_t tasklog_close(int64_t recorder);

/* Copies why the last call that failed did; answers with the length of the text. */
size_t tasklog_last_error(char *buffer, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
