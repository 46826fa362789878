// What Swift's standard library does not give: atomic access to shared memory, CRC32C in hardware,
// and a little about processes and threads.
#ifndef TASKLOG_CSUPPORT_H
#define TASKLOG_CSUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Reads a word of shared memory; what its writer did before storing it is seen afterwards.
static inline uint64_t tl_load_acquire(const uint64_t *_Nonnull word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/// Writes a word of shared memory after everything that was written before.
static inline void tl_store_release(uint64_t *_Nonnull word, uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/// Writes a word of shared memory, in no order to others.
static inline void tl_store_relaxed(uint64_t *_Nonnull word, uint64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/// Changes in the child of a fork; tells a process from the one that it was forked from.
extern uint64_t tl_fork_generation;

static inline uint64_t tl_generation(void) {
  return __atomic_load_n(&tl_fork_generation, __ATOMIC_RELAXED);
}

/// Gives the calling thread a name of at most 15 bytes, for tools such as `top -H`.
void tl_name_thread(const char *_Nonnull name);

/// The first place of some bytes in others; NULL if there is none. In time that is linear in the number of
/// bytes: https://man7.org/linux/man-pages/man3/memmem.3.html
const void *_Nullable tl_find(
    const void *_Nonnull bytes, size_t count, const void *_Nonnull part, size_t part_count);

/// CRC-32C (Castagnoli) of some bytes, going on from an earlier one.
uint32_t tl_crc32c(uint32_t seed, const void *_Nonnull bytes, size_t count);

/// The same without the processor's help, for processors that have none, and for tests.
uint32_t tl_crc32c_portable(uint32_t seed, const void *_Nonnull bytes, size_t count);

/// A file of zeros that only its descriptor leads to, closed on exec; -1 when there is none.
int32_t tl_memory_file(size_t size);

/// The number of the kind of file system that a path is on, as `linux/magic.h` has them; 0 if it
/// cannot be asked.
uint32_t tl_file_system(const char *_Nonnull path);

/// Passes on to a process what asks this one to end, unless a terminal has asked both.
void tl_forward_signals(int32_t process);

/// Ends this process by a signal, as if nothing had handled it.
void tl_end_by_signal(int32_t number);

/// Lets two names of one file system change places at once, and answers 0; -1 where that cannot be
/// done: https://man7.org/linux/man-pages/man2/rename.2.html
int32_t tl_exchange_names(const char *_Nonnull a, const char *_Nonnull b);

/// Has this process killed when the thread that made it ends.
///
/// - Parameter parent: the process that made it; when that is gone by now, ends at once.
void tl_end_with_parent(int32_t parent);

/// Names a word that says, once it is not zero, that what the calling thread does is no longer wanted; NULL
/// to name none. The word stays as long as it is named; any thread may set it.
void tl_stop_when(const int32_t *_Nullable word);

/// Whether the calling thread has named a word.
bool tl_may_be_stopped(void);

/// Whether the word that the calling thread has named, if any, is set.
bool tl_is_stopped(void);

/// Keeps a text for the calling thread, which is freed when it ends.
void tl_set_thread_text(const char *_Nonnull text);

/// The text of the calling thread, until its next one; empty if there is none.
const char *_Nonnull tl_thread_text(void);

#endif
