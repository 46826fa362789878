// The files that SQLite has open in this process, or has had. Not for others than this folder.
#ifndef TASKLOG_DATABASE_FILES_H
#define TASKLOG_DATABASE_FILES_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/// SQLite has at most two read locks on a file that it can only read.
#define MAXIMUM_READ_LOCKS 8

struct range {
  off_t start, length;
};

/// A regular file.
struct file {
  dev_t device;
  ino_t inode;
  /// Descriptors that are not parked.
  int users;
  /// The lock descriptor; -1 before the first lock.
  int lock;
  /// What is locked as long as the lock descriptor is open for reading alone: to be taken over by
  /// one that is open for writing, too.
  struct range read_locks[MAXIMUM_READ_LOCKS];
  int read_lock_count;
  struct file *next;
};

struct descriptor {
  /// NULL: not one of ours.
  struct file *file;
  /// O_RDONLY or O_RDWR.
  int access;
  bool is_parked;
};

/// Guards everything here; held for system calls that do not wait, never while SQLite is called.
extern pthread_mutex_t tl_files_mutex;
extern struct file *tl_files;
/// By their number.
extern struct descriptor *tl_descriptors;
extern int tl_descriptor_count;

/// NULL for a descriptor that is not ours.
static inline struct file *tl_file_of(int descriptor) {
  if (descriptor < 0 || descriptor >= tl_descriptor_count) return NULL;
  return tl_descriptors[descriptor].file;
}

/// A lock on all of a file, or none.
static inline struct flock tl_whole_file(short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

// What SQLite calls instead of `open`, `close` and `fcntl`.
int tl_open_file(const char *path, int flags, int mode);
int tl_close_file(int descriptor);
int tl_control_file(int descriptor, int command, ...);

#endif
