#include "creportpage.h"

// `#embed` is of C23; the compilers that build Swift packages have it in every mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page_html[] = {
#embed "Page/page.html"
};
static const unsigned char page_css[] = {
#embed "Page/page.css"
};
// Each module after those that it imports.
static const unsigned char theme_js[] = {
#embed "Page/theme.js"
};
static const unsigned char data_js[] = {
#embed "Page/data.js"
};
static const unsigned char rows_js[] = {
#embed "Page/rows.js"
};
static const unsigned char stories_js[] = {
#embed "Page/stories.js"
};
static const unsigned char attempts_js[] = {
#embed "Page/attempts.js"
};
static const unsigned char charts_js[] = {
#embed "Page/charts.js"
};
static const unsigned char resources_js[] = {
#embed "Page/resources.js"
};
static const unsigned char side_js[] = {
#embed "Page/side.js"
};
static const unsigned char view_js[] = {
#embed "Page/view.js"
};
static const unsigned char raster_js[] = {
#embed "Page/raster.js"
};
static const unsigned char marks_js[] = {
#embed "Page/marks.js"
};
static const unsigned char stream_js[] = {
#embed "Page/stream.js"
};
static const unsigned char slowest_js[] = {
#embed "Page/slowest.js"
};
static const unsigned char tables_js[] = {
#embed "Page/tables.js"
};
static const unsigned char flame_js[] = {
#embed "Page/flame.js"
};
static const unsigned char panels_js[] = {
#embed "Page/panels.js"
};
static const unsigned char inspector_js[] = {
#embed "Page/inspector.js"
};
static const unsigned char timeline_js[] = {
#embed "Page/timeline.js"
};
static const unsigned char pointer_js[] = {
#embed "Page/pointer.js"
};
static const unsigned char search_js[] = {
#embed "Page/search.js"
};
static const unsigned char main_js[] = {
#embed "Page/main.js"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const struct tl_page_file files[] = {
    FILE("page.html", page_html),
    FILE("page.css", page_css),
    FILE("theme.js", theme_js),
    FILE("data.js", data_js),
    FILE("rows.js", rows_js),
    FILE("stories.js", stories_js),
    FILE("attempts.js", attempts_js),
    FILE("charts.js", charts_js),
    FILE("resources.js", resources_js),
    FILE("side.js", side_js),
    FILE("view.js", view_js),
    FILE("raster.js", raster_js),
    FILE("marks.js", marks_js),
    FILE("stream.js", stream_js),
    FILE("slowest.js", slowest_js),
    FILE("tables.js", tables_js),
    FILE("flame.js", flame_js),
    FILE("panels.js", panels_js),
    FILE("inspector.js", inspector_js),
    FILE("timeline.js", timeline_js),
    FILE("pointer.js", pointer_js),
    FILE("search.js", search_js),
    FILE("main.js", main_js),
};

struct tl_page_file tl_page_asset(size_t place) { return files[place]; }

size_t tl_page_asset_count(void) { return sizeof files / sizeof *files; }
