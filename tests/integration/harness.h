/* harness.h: a broker and workers for a test, and what they must not leave behind. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Where this run's pools work: "local", "tcp" or "ipc". */
extern const char *harness_where;

/* For a broker's run: start it and a worker of this very binary (--mp-worker) with that many
 * executors, and return its endpoint. For a local run: NULL. Both die with the test. */
const char *harness_broker(int executors);
void harness_end(void);
/* What that worker is to have, as mp-worker's --have. */
void harness_have(const char *list);
/* Of that broker. */
const char *harness_endpoint(void);
/* One more such worker, beside the first. Not for a local run. */
void harness_worker(int executors);
/* The worker's process, to be killed; 0 for a local run. */
pid_t harness_worker_pid(void);
pid_t harness_broker_pid(void);

/* Wait until ready() or 20 s have passed; false: they have. */
bool harness_wait(bool (*ready)(void *), void *arg);
/* Whether a process exists and is no zombie. */
bool harness_alive(pid_t pid);

#endif
