// What Swift's standard library does not give: atomic access to shared memory, and CRC32C in hardware.
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

/// CRC-32C (Castagnoli) of some bytes, going on from an earlier one.
uint32_t tl_crc32c(uint32_t seed, const void *_Nonnull bytes, size_t count);

/// The same without the processor's help, for processors that have none, and for tests.
uint32_t tl_crc32c_portable(uint32_t seed, const void *_Nonnull bytes, size_t count);

#endif
