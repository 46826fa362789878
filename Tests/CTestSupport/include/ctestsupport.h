#pragma once

#include <spawn.h>

/// What the C library has and its Swift module does not: every file of this number and above is closed
/// in the process that is started. Returns 0, or the number of an error.
int ts_close_from(posix_spawn_file_actions_t *actions, int first);
