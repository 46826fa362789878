// What static libraries of Debian need that is not there when they are linked into ours.
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>

/// `stderr` for librabbitmq, whose code is not position-independent: in a library, a variable of
/// another library is out of its reach.
FILE *tl_stderr;

__attribute__((constructor)) static void set_stderr(void) { tl_stderr = stderr; }

#ifdef TL_OLD_GLIBC

/// Of glibc 2.32, for libstdc++: whether the process has never had a second thread. It may have.
char __libc_single_threaded = 0;

/// Of glibc 2.36.
void arc4random_buf(void *bytes, size_t count) {
  while (count > 0) {
    ssize_t filled = getrandom(bytes, count, 0);
    if (filled < 0) continue;
    bytes = (char *)bytes + filled;
    count -= (size_t)filled;
  }
}

uint32_t arc4random(void) {
  uint32_t number;
  arc4random_buf(&number, sizeof number);
  return number;
}
#endif
