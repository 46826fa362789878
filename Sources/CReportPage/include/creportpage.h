// The files that the report page is made of, embedded by the compiler: Swift's own way to embed
// files is slow for large ones, and C's `#embed` is not.
#ifndef TASKLOG_CREPORTPAGE_H
#define TASKLOG_CREPORTPAGE_H

#include <stddef.h>

struct tl_page_file {
  const char *_Nonnull name;
  const unsigned char *_Nonnull bytes;
  size_t count;
};

/// The frame first, then the others in the order in which the page needs them.
struct tl_page_file tl_page_asset(size_t place);
size_t tl_page_asset_count(void);

#endif
