#include "creportpage.h"

// `#embed` is of C23; the compilers that build Swift packages have it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page_html[] = {
#embed "Page/page.html"
};
static const unsigned char page_css[] = {
#embed "Page/page.css"
};
// What `Page/join.py` makes of the modules in `Page`.
static const unsigned char page_js[] = {
#embed "Page/Joined/page.js"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const struct tl_page_file files[] = {
    FILE("page.html", page_html),
    FILE("page.css", page_css),
    FILE("page.js", page_js),
};

struct tl_page_file tl_page_asset(size_t place) { return files[place]; }

size_t tl_page_asset_count(void) { return sizeof files / sizeof *files; }
