// SwiftPM gives the entry of a program another name, so that tests can link it.
int tasklog_main(int count, char **arguments);

int main(int count, char **arguments) { return tasklog_main(count, arguments); }
