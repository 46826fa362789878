#define _GNU_SOURCE
#include "csupport.h"

#include <pthread.h>

uint64_t tl_fork_generation = 0;

static void count_fork(void) { __atomic_add_fetch(&tl_fork_generation, 1, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(NULL, NULL, count_fork);
}

void tl_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
