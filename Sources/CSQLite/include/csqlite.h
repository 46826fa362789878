// Our own copy of SQLite, and how its locks are made safe from other copies in the process.
#ifndef TASKLOG_CSQLITE_H
#define TASKLOG_CSQLITE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/// Makes the locks of this copy of SQLite those of open files instead of those of the process; to
/// be called before a database is opened, any number of times.
///
/// POSIX locks belong to a process and a file: a second copy of SQLite in the process gets locks
/// that this copy holds, and drops them all whenever it closes the file:
/// https://sqlite.org/howtocorrupt.html#multiple_copies_of_sqlite_linked_into_the_same_application
/// Locks of open file descriptions exclude other copies and other processes, whatever locks those
/// use, and the `close` of other descriptors does not drop them:
/// https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html
///
/// - Returns: whether they are; not so on a kernel without them (Linux before 3.15).
__attribute__((swift_attr("discardableResult"))) bool tl_use_open_file_locks(void);

/// Opens a file as SQLite opens those of databases; like `open`. The child of a fork does not have
/// it.
int32_t tl_open_file_of_process(const char *_Nonnull path, int32_t flags, uint32_t mode);

/// Closes what `tl_open_file_of_process` has opened, as soon as that drops no locks.
void tl_close_file_of_process(int32_t descriptor);

#endif
