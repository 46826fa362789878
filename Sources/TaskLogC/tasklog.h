/* The flight recorder of task schedulers, for hosts in C and languages that call C.
 *
 * A recorder is a handle above 0, a source of events (a scheduler, a worker) an index from 0 on. A
 * function that fails returns one of the negative numbers below, and tasklog_last_error has the
 * message, for the thread that has called it. Any thread may call any function. A forked child does not have the parent's recorders;
 * it may open its own.
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
#define TASKLOG_CANNOT_READ (-7)

/* Returns TASKLOG_ABI of the library. */
int32_t tasklog_abi(void);

/* Opens a log (creates it if there is none), begins a run and starts the writing thread. With the
 * option publish, the address of a broker (amqp://...), events are also published to it, and only
 * there if log is NULL; publish_queue, publish_batch (events per message) and publish_spool (the
 * folder for unconfirmed events) go with it. That needs a library built with RabbitMQ. Options
 * are JSON or NULL: engine, engine_version, mode, metadata, spool_limit, segment_size,
 * sync_seconds, close_seconds, deliver (a folder, or a command with {file}), deliver_every and
 * deliver_seconds, keep (what is kept of older runs: 7d,20GiB,failures), max_args_bytes, rotate_bytes, rotate_seconds, worker_spools (a
 * folder: events that dead workers of earlier runs left there are recovered into the log), and
 * lists of patterns: include_hooks, exclude_hooks, include_keys, exclude_keys, include_sources,
 * exclude_sources. */
int64_t tasklog_open(const char *log, const char *options);

/* Copies the id of the run, with a NUL at its end; returns its length. */
ptrdiff_t tasklog_run(int64_t recorder, char *buffer, size_t capacity);

/* Adds a source and returns its index. kind is "scheduler" or "worker", id the engine's server id,
 * name JSON or NULL. A source that has been added before keeps its index. */
int32_t tasklog_source(
    int64_t recorder, const char *kind, const char *id, const char *address, const char *name);

/* Records an event: a MessagePack array [time, hook, key, start, finish, stimulus, worker, task
 * run, args, snapshot]; see Sources/LogFormat/MessagePack/SpoolRecord.swift. Returns its
 * source_seq. After this has returned, the event survives the death of the process. */
int64_t tasklog_put(int64_t recorder, int32_t source, const void *event, size_t length);

/* Records events of a source that assigns source_seqs itself; see SourceRecord.swift in the same
 * folder. Returns the last recorded source_seq; duplicates are skipped. */
int64_t tasklog_put_records(int64_t recorder, int32_t source, const void *records, size_t length);

/* Adds records that a dead worker of an earlier run left in its spool to the log, if the log has
 * the run and the run is over. May take a while. Returns 0 if they are in the log. */
int32_t tasklog_put_left(
    int64_t recorder, const char *run, const char *id, const char *address, const char *name,
    const void *records, size_t length);

/* Records that the next count events are missing, and why. */
int32_t tasklog_gap(int64_t recorder, int32_t source, int64_t count, const char *reason);

/* Waits until everything recorded so far is in the log, and confirmed by the broker. */
int32_t tasklog_flush(int64_t recorder, double seconds);

/* The counters of a source: the source_seq of its last event, and the number of lost events.
 * Returns the number of counters. */
int32_t tasklog_counters(int64_t recorder, int32_t source, int64_t *counters, size_t capacity);

/* Sets text to how a recorder with a log is doing, as JSON, which is to be freed with tasklog_free:
 * "time" and "committed" (when the log was written last, in nanoseconds since 1970), "lag" (for how
 * many nanoseconds events have been waiting), "spool_bytes", "spool_limit", "destination" of
 * delivered copies, "copies", "delivered", "delivery_failures", "delivery_failing_since",
 * "delivery_error". */
int32_t tasklog_status(int64_t recorder, char **text);

/* Writes the remaining events and ends the run. */
int32_t tasklog_close(int64_t recorder);

/* Copies the path of a recorder's log, which is another than the requested one where a log is not
 * safe on a network file system; returns its length. */
ptrdiff_t tasklog_path(int64_t recorder, char *buffer, size_t capacity);

/* Copies a log as it is now, also while it is recorded, into an empty file, which is then a log that
 * is complete in itself. */
int32_t tasklog_copy(const char *log, const char *copy);

/* Writes the runs of two logs, none of which is being recorded, into a new one. A run that both have
 * is there once, with the events of both. */
int32_t tasklog_combine(const char *log, const char *other, const char *into);

/* Lets the calls below that this thread makes end with an error soon after *word is not zero, which any
 * thread may set. It has to stay until another one, or NULL for none, is named. */
void tasklog_log_stop_when(const int32_t *word);

/* Opens logs for reading: paths, or templates such as "logs/{run}.db". Returns a handle. */
int64_t tasklog_log_open(const char *const *names, ptrdiff_t count);

/* Closes the logs; streams of their rows stay valid. */
int32_t tasklog_log_close(int64_t log);

/* Sets text to the files and runs as JSON, which is to be freed with tasklog_free. */
int32_t tasklog_log_describe(int64_t log, char **text);

/* Runs a SELECT over the views of the logs, as if they were one: request is the JSON
 * {"sql": text, "parameters": {name: value}, "runs": [id], "times": [name],
 * "second_times": [name], "batch_rows": number, "timeout": seconds}; all but "sql" may be left out. In the views, "run" is the id of a run. Fills a
 * struct ArrowArrayStream (https://arrow.apache.org/docs/format/CStreamInterface.html), of which one
 * thread at a time may ask for rows. */
int32_t tasklog_log_query(int64_t log, const char *request, void *stream);

/* Stops the statement of a stream of tasklog_log_query, from any thread: who asks it for rows gets an
 * error. The stream must not be released meanwhile. */
void tasklog_log_interrupt(void *stream);

/* Moves a struct of Arrow's C data interface to newly allocated memory, for a PyCapsule: kind is 0 for an
 * ArrowSchema, 1 for an ArrowArray, 2 for an ArrowArrayStream. get_pointer is the address of
 * PyCapsule_GetPointer. Sets destructor to the function that releases and frees it with its capsule.
 * Returns NULL if there is no memory. */
void *tasklog_box(int32_t kind, void *from, void *get_pointer, void **destructor);

void tasklog_free(void *text);

/* Copies the message of the last failed call of this thread; returns its length. */
size_t tasklog_last_error(char *buffer, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
