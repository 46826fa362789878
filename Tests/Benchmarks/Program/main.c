// The program tasklog-bench. It is in C because `swift package generate-manual` runs every program in
// Swift that depends on ArgumentParser, as this one does by way of `tasklog`, which it measures.

void tasklog_bench(void);

int main(void) {
    tasklog_bench();
    return 0;
}
