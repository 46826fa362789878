#define _GNU_SOURCE
#include "csupport.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

uint64_t tl_fork_generation = 0;

static void count_fork(void) { __atomic_add_fetch(&tl_fork_generation, 1, __ATOMIC_RELAXED); }

__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(NULL, NULL, count_fork);
}

int32_t tl_exchange_names(const char *a, const char *b) {
  return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

uint32_t tl_file_system(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 ? (uint32_t)status.f_type : 0;
}

void tl_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

static _Thread_local const int32_t *stop_word = NULL;

void tl_stop_when(const int32_t *word) { stop_word = word; }

bool tl_may_be_stopped(void) { return stop_word != NULL; }

bool tl_is_stopped(void) {
  return stop_word != NULL && __atomic_load_n(stop_word, __ATOMIC_RELAXED) != 0;
}

static pthread_key_t thread_text;
static pthread_once_t thread_text_once = PTHREAD_ONCE_INIT;
static int thread_text_error = -1;

static void make_thread_text(void) { thread_text_error = pthread_key_create(&thread_text, free); }

void tl_set_thread_text(const char *text) {
  pthread_once(&thread_text_once, make_thread_text);
  if (thread_text_error != 0) return;
  char *copy = strdup(text);
  free(pthread_getspecific(thread_text));
  if (pthread_setspecific(thread_text, copy) != 0) free(copy);
}

const char *tl_thread_text(void) {
  pthread_once(&thread_text_once, make_thread_text);
  const char *text = thread_text_error != 0 ? NULL : pthread_getspecific(thread_text);
  return text == NULL ? "" : text;
}

int32_t tl_memory_file(size_t size) {
  int file = memfd_create("tasklog", MFD_CLOEXEC);
  if (file >= 0 && ftruncate(file, (off_t)size) != 0) {
    close(file);
    return -1;
  }
  return file;
}

static pid_t forwarded_to;

static void forward(int signal, siginfo_t *info, void *context) {
  (void)context;
  // The kernel sends what a terminal sends to all processes of the group.
  if (info->si_code <= 0) kill(forwarded_to, signal);
}

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

void tl_forward_signals(int32_t process) {
  forwarded_to = process;
  struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) sigaction(ends[i], &action, NULL);
}

void tl_end_by_signal(int32_t number) {
  // The core, if any, is that of the process that was ended first.
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  kill(getpid(), number);
}

void tl_end_with_parent(int32_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}
