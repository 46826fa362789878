#include "creportpage.h"

// `#embed` is of C23; the compilers that build Swift packages have it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page_html[] = {
#embed "Page/page.html"
};

#define ASSET(file, bytes) {file, bytes, sizeof bytes}

const struct tl_page_asset tl_page_assets[] = {
    ASSET("page.html", page_html),
};

const size_t tl_page_asset_count = sizeof tl_page_assets / sizeof *tl_page_assets;
