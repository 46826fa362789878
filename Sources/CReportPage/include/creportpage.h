// The files that the report page is made of, embedded by the compiler: Swift's own way to embed
// files takes minutes for what C's `#embed` does at once.
#ifndef TASKLOG_CREPORTPAGE_H
#define TASKLOG_CREPORTPAGE_H

#include <stddef.h>

struct tl_page_asset {
  const char *_Nonnull name;
  const unsigned char *_Nonnull bytes;
  size_t count;
};

/// In the order in which the page needs them.
extern const struct tl_page_asset tl_page_assets[];
extern const size_t tl_page_asset_count;

#endif
