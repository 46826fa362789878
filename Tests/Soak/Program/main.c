// The program tasklog-soak. It is in C for the same reason as tasklog-bench.

void tasklog_soak(void);

int main(void) {
    tasklog_soak();
    return 0;
}
