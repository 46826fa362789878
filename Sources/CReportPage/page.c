#include "creportpage.h"

// `#embed` is of C23; the compilers that build Swift packages have it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page_html[] = {
#embed "Page/page.html"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const struct tl_page_file files[] = {
    FILE("page.html", page_html),
};

struct tl_page_file tl_page_asset(size_t place) { return files[place]; }

size_t tl_page_asset_count(void) { return sizeof files / sizeof *files; }
