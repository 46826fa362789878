// Opening and closing of the files that SQLite works on.
//
// Closing any descriptor of a file drops all POSIX locks of the process on it, those of other
// copies of SQLite included. A descriptor that SQLite closes is therefore *parked*: it is closed
// once no lock is held on the file, or it is not open elsewhere in this process, and until then
// used again when the same file is opened.
#define _GNU_SOURCE
#include "database_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

pthread_mutex_t tl_files_mutex = PTHREAD_MUTEX_INITIALIZER;
struct file *tl_files;
struct descriptor *tl_descriptors;
int tl_descriptor_count;

static struct file *find(dev_t device, ino_t inode) {
  struct file *file = tl_files;
  while (file != NULL && (file->inode != inode || file->device != device)) file = file->next;
  return file;
}

// MARK: - Closing

/// Whether a descriptor in this process that is not ours leads to the file.
static bool is_open_elsewhere_in_process(const struct file *file) {
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) return true;
  bool is_found = false;
  for (struct dirent *entry; !is_found && (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    int number = atoi(entry->d_name);
    struct stat status;
    is_found = tl_file_of(number) != file && fstat(number, &status) == 0 &&
               status.st_ino == file->inode && status.st_dev == file->device;
  }
  closedir(folder);
  return is_found;
}

/// Whether closing a parked descriptor drops no locks. If it is open for writing, no lock can be taken
/// between this and the closing; if it is open for reading alone, one may, in between two system calls.
static bool can_close(int descriptor, const struct file *file) {
  struct stat status;
  if (fstat(descriptor, &status) != 0 || status.st_nlink == 0) return true;
  struct flock everything = tl_whole_file(F_WRLCK);
  if (tl_descriptors[descriptor].access == O_RDWR) {
    if (fcntl(descriptor, F_OFD_SETLK, &everything) == 0) return true;
  } else if (fcntl(descriptor, F_OFD_GETLK, &everything) == 0 && everything.l_type == F_UNLCK) {
    return true;
  }
  // There are locks on it: of another process, unless it is open elsewhere in this one.
  return !is_open_elsewhere_in_process(file);
}

static void close_now(int descriptor) {
  tl_descriptors[descriptor] = (struct descriptor){NULL, 0, false};
  close(descriptor);
}

/// Removes a file that no descriptor leads to any more.
static void forget(struct file *file) {
  struct file **link = &tl_files;
  while (*link != file) link = &(*link)->next;
  *link = file->next;
  free(file);
}

/// Closes the parked descriptors of a file, if that drops no locks.
static void close_parked(struct file *file) {
  // One of them has the locks of this copy, which a lock on everything would replace.
  if (file->users > 0 && file->lock >= 0) return;
  int guard = -1;
  for (int i = 0; i < tl_descriptor_count; i++) {
    if (tl_descriptors[i].file != file || !tl_descriptors[i].is_parked) continue;
    if (guard < 0 || tl_descriptors[i].access == O_RDWR) guard = i;
  }
  if (guard < 0 || !can_close(guard, file)) return;
  for (int i = 0; i < tl_descriptor_count; i++)
    if (i != guard && tl_descriptors[i].file == file && tl_descriptors[i].is_parked) close_now(i);
  // Last: its lock holds off everybody else until it has been closed.
  close_now(guard);
  if (file->users == 0) forget(file);
}

/// Closes what could not be closed at the time.
static void close_all_parked(void) {
  for (struct file *file = tl_files, *next; file != NULL; file = next) {
    next = file->next;
    if (file->users == 0) close_parked(file);
  }
}

int tl_close_file(int descriptor) {
  pthread_mutex_lock(&tl_files_mutex);
  struct file *file = tl_file_of(descriptor);
  if (file == NULL) {
    pthread_mutex_unlock(&tl_files_mutex);
    return close(descriptor);
  }
  tl_descriptors[descriptor].is_parked = true;
  file->users--;
  // SQLite relies on the last close to drop its locks, above all those of the -shm file.
  if (file->users == 0 && file->lock >= 0) {
    struct flock everything = tl_whole_file(F_UNLCK);
    fcntl(file->lock, F_OFD_SETLK, &everything);
    file->lock = -1;
    file->read_lock_count = 0;
  }
  close_parked(file);
  close_all_parked();
  pthread_mutex_unlock(&tl_files_mutex);
  return 0;
}

// MARK: - Opening

/// Keeps a new descriptor, unless it is of something that has no locks.
static bool keep(int descriptor, int flags) {
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return true;
  if (descriptor >= tl_descriptor_count) {
    int count = descriptor + 64;
    struct descriptor *more = realloc(tl_descriptors, (size_t)count * sizeof *more);
    if (more == NULL) return false;
    for (int i = tl_descriptor_count; i < count; i++) more[i] = (struct descriptor){NULL, 0, false};
    tl_descriptors = more;
    tl_descriptor_count = count;
  }
  struct file *file = find(status.st_dev, status.st_ino);
  if (file == NULL) {
    file = calloc(1, sizeof *file);
    if (file == NULL) return false;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->lock = -1;
    file->next = tl_files;
    tl_files = file;
  }
  tl_descriptors[descriptor] = (struct descriptor){file, flags & O_ACCMODE, false};
  file->users++;
  return true;
}

/// A parked descriptor of the file that a path leads to; -1 if there is none.
static int unpark(const char *path, int flags) {
  if (tl_files == NULL || flags & (O_EXCL | O_TRUNC | O_DIRECTORY)) return -1;
  struct stat status;
  if ((flags & O_NOFOLLOW ? lstat(path, &status) : stat(path, &status)) != 0) return -1;
  struct file *file = find(status.st_dev, status.st_ino);
  if (file == NULL) return -1;
  // SQLite gives back one that stands for standard input, output or error, and asks again.
  for (int i = STDERR_FILENO + 1; i < tl_descriptor_count; i++) {
    struct descriptor *descriptor = &tl_descriptors[i];
    if (descriptor->file != file || !descriptor->is_parked) continue;
    if (descriptor->access != (flags & O_ACCMODE)) continue;
    descriptor->is_parked = false;
    file->users++;
    return i;
  }
  return -1;
}

int tl_open_file(const char *path, int flags, int mode) {
  pthread_mutex_lock(&tl_files_mutex);
  close_all_parked();
  int descriptor = unpark(path, flags);
  pthread_mutex_unlock(&tl_files_mutex);
  if (descriptor >= 0) return descriptor;
  descriptor = open(path, flags, mode);
  if (descriptor < 0) return descriptor;
  pthread_mutex_lock(&tl_files_mutex);
  bool is_kept = keep(descriptor, flags);
  pthread_mutex_unlock(&tl_files_mutex);
  if (is_kept) return descriptor;
  close(descriptor);
  errno = ENOMEM;
  return -1;
}
