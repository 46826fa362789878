// Locks of open file descriptions below SQLite's own VFS for Unix.
//
// SQLite is written for POSIX locks: one owner for all descriptors of a process that lead to a file,
// whichever a lock is taken or given back with. So it stays, with this copy of SQLite as the owner
// instead of the process: all locks on a file are taken through one of its descriptors, the *lock
// descriptor*, whichever one SQLite names. A process may have many connections to a file.
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>

#include "database_files.h"

/// Lets a descriptor that is open for writing, too, take over the locks of one that is not. Nothing
/// can be in the way: where this copy holds a read lock, there is no write lock.
static bool take_over(struct file *file, int descriptor) {
  for (int i = 0; i < file->read_lock_count; i++) {
    struct flock lock = {
        .l_type = F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = file->read_locks[i].start,
        .l_len = file->read_locks[i].length};
    if (fcntl(descriptor, F_OFD_SETLK, &lock) != 0) return false;
  }
  struct flock everything = tl_whole_file(F_UNLCK);
  fcntl(file->lock, F_OFD_SETLK, &everything);
  file->lock = descriptor;
  file->read_lock_count = 0;
  return true;
}

/// Remembers a read lock, or that locks have been given back.
static void note(struct file *file, const struct flock *lock) {
  int count = 0;
  for (int i = 0; i < file->read_lock_count; i++) {
    struct range range = file->read_locks[i];
    bool is_covered =
        lock->l_start <= range.start &&
        (lock->l_len == 0 || lock->l_start + lock->l_len >= range.start + range.length);
    if (!is_covered) file->read_locks[count++] = range;
  }
  if (lock->l_type == F_RDLCK)
    file->read_locks[count++] = (struct range){lock->l_start, lock->l_len};
  file->read_lock_count = count;
}

static int fail(int error) {
  errno = error;
  return -1;
}

static int lock_file(struct file *file, int descriptor, bool is_query, struct flock *lock) {
  bool can_write = tl_descriptors[descriptor].access != O_RDONLY;
  if (file->lock < 0) file->lock = descriptor;
  if (can_write && tl_descriptors[file->lock].access == O_RDONLY && !take_over(file, descriptor))
    return -1;
  // The kernel wants it so.
  lock->l_pid = 0;
  if (is_query) return fcntl(file->lock, F_OFD_GETLK, lock);
  // As the kernel has it, also where the lock descriptor could do it.
  if (lock->l_type == F_WRLCK && !can_write) return fail(EBADF);
  bool is_noted = tl_descriptors[file->lock].access == O_RDONLY;
  if (is_noted && lock->l_type == F_RDLCK && file->read_lock_count == MAXIMUM_READ_LOCKS)
    return fail(ENOLCK);
  // Never F_OFD_SETLKW: it is SQLite's busy handler that waits, without the mutex.
  int answer = fcntl(file->lock, F_OFD_SETLK, lock);
  if (answer == 0 && is_noted) note(file, lock);
  return answer;
}

int tl_control_file(int descriptor, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (command != F_GETLK && command != F_SETLK && command != F_SETLKW)
    return fcntl(descriptor, command, argument);
  pthread_mutex_lock(&tl_files_mutex);
  struct file *file = tl_file_of(descriptor);
  int answer = file == NULL ? fcntl(descriptor, command, argument)
                            : lock_file(file, descriptor, command == F_GETLK, argument);
  int error = errno;
  pthread_mutex_unlock(&tl_files_mutex);
  errno = error;
  return answer;
}
