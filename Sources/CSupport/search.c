#define _GNU_SOURCE
#include "csupport.h"

#include <string.h>

const void *tl_find(const void *bytes, size_t count, const void *part, size_t part_count) {
  return memmem(bytes, count, part, part_count);
}
