#include <stdio.h>
#include <tasklog.h>

/* Records a run without events, by the installed header and library. */
int main(int count, char **arguments) {
  if (count != 2 || tasklog_abi() != TASKLOG_ABI) return 2;
  int64_t recorder = tasklog_open(arguments[1], NULL);
  if (recorder <= 0) {
    char error[256];
    tasklog_last_error(error, sizeof error);
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  return tasklog_close(recorder) == 0 ? 0 : 1;
}
