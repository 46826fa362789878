// Puts our system calls below SQLite, and lets the child of a fork begin anew.
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csqlite.h"
#include "database_files.h"

// MARK: - Forks

/// Goes up in the child of a fork.
static uint64_t generation;

// SQLite remembers by device and inode which locks it has. In the child of a fork it has none of
// them: there the same file is on another device.

static int mark(int answer, struct stat *status) {
  if (answer == 0) status->st_dev ^= (dev_t)generation << 48;
  return answer;
}

static int stat_path(const char *path, struct stat *status) {
  return mark(stat(path, status), status);
}

static int stat_file(int descriptor, struct stat *status) {
  return mark(fstat(descriptor, status), status);
}

/// An open file, and the locks on it, live as long as one process has it open or mapped. A child
/// that outlives its parent is not to keep the parent's locks.
static void *map_file(
    void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
  void *start = mmap(address, length, protection, flags, descriptor, offset);
  if (start != MAP_FAILED) madvise(start, length, MADV_DONTFORK);
  return start;
}

/// Mutexes that all connections share, in the order in which SQLite takes several of them. A
/// thread that holds one while another forks does not exist in the child, where it is never released.
static const int shared_mutexes[] = {
    SQLITE_MUTEX_STATIC_OPEN, SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_VFS1,
    SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PMEM, SQLITE_MUTEX_STATIC_PRNG,
    SQLITE_MUTEX_STATIC_MEM,
};

#define SHARED_MUTEX_COUNT (sizeof shared_mutexes / sizeof *shared_mutexes)

static void before_fork(void) {
  for (size_t i = 0; i < SHARED_MUTEX_COUNT; i++)
    sqlite3_mutex_enter(sqlite3_mutex_alloc(shared_mutexes[i]));
  pthread_mutex_lock(&tl_files_mutex);
}

static void after_fork(void) {
  pthread_mutex_unlock(&tl_files_mutex);
  for (size_t i = SHARED_MUTEX_COUNT; i-- > 0;)
    sqlite3_mutex_leave(sqlite3_mutex_alloc(shared_mutexes[i]));
}

/// Lets go of the parent's files. Their numbers stay taken, so that no connection of the parent's
/// ever writes into another file of the child's.
static void after_fork_in_child(void) {
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < tl_descriptor_count; i++) {
    if (tl_descriptors[i].file == NULL) continue;
    if (nowhere < 0 || dup3(nowhere, i, O_CLOEXEC) < 0) close(i);
    tl_descriptors[i] = (struct descriptor){NULL, 0, false};
  }
  if (nowhere >= 0) close(nowhere);
  tl_files = NULL;
  generation++;
  after_fork();
}

// MARK: - Installing

static bool is_installed;

/// Whether the kernel has such locks.
static bool can_lock_open_files(void) {
  int file = memfd_create("tasklog", MFD_CLOEXEC);
  if (file < 0) return false;
  struct flock everything = tl_whole_file(F_WRLCK);
  bool can = fcntl(file, F_OFD_SETLK, &everything) == 0;
  close(file);
  return can;
}

static void install(void) {
  // All of SQLite's VFSes for Unix share one table: https://sqlite.org/c3ref/vfs.html
  sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
  if (vfs == NULL || vfs->iVersion < 3 || !can_lock_open_files()) return;
  if (pthread_atfork(before_fork, after_fork, after_fork_in_child) != 0) return;
  const struct {
    const char *name;
    sqlite3_syscall_ptr call;
  } calls[] = {
      {"open", (sqlite3_syscall_ptr)tl_open_file},
      {"close", (sqlite3_syscall_ptr)tl_close_file},
      {"fcntl", (sqlite3_syscall_ptr)tl_control_file},
      {"stat", (sqlite3_syscall_ptr)stat_path},
      {"fstat", (sqlite3_syscall_ptr)stat_file},
      {"mmap", (sqlite3_syscall_ptr)map_file},
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call);
  is_installed = true;
}

bool tl_use_open_file_locks(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  return is_installed;
}

int32_t tl_open_file_of_process(const char *path, int32_t flags, uint32_t mode) {
  return tl_use_open_file_locks() ? tl_open_file(path, flags, (int)mode) : open(path, flags, mode);
}

void tl_close_file_of_process(int32_t descriptor) {
  if (tl_use_open_file_locks()) {
    tl_close_file(descriptor);
  } else {
    close(descriptor);
  }
}
