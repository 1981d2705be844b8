#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *harness_where = "local";

static pid_t broker_pid, worker_pid, further_pid;
static uint32_t all_executors;
static char endpoint[256];
static char directory[64];
static char data[80]; /* what a broker keeps */
static char have[80];

enum { WAIT_MS = 20000, STEP_MS = 5 };

bool harness_wait(bool (*ready)(void *), void *arg)
{
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        if (ready(arg))
            return true;
        struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
        nanosleep(&step, NULL);
    }
    return false;
}

bool harness_alive(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static void fail(const char *what)
{
    perror(what);
    exit(99);
}

/* Its stdout comes through *out, or is dropped if that is NULL; its stderr is dropped. */
static pid_t start(char *const argv[], int *out)
{
    int pair[2] = {-1, -1};
    pid_t parent = getpid();
    if (out && pipe2(pair, O_CLOEXEC) != 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        int null = open("/dev/null", O_WRONLY);
        dup2(out ? pair[1] : null, 1);
        if (!getenv("MP_TEST_VERBOSE"))
            dup2(null, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    if (out) {
        close(pair[1]);
        *out = pair[0];
    }
    return pid;
}

static void read_endpoint(int out)
{
    char line[300];
    size_t size = 0;
    while (size < sizeof line - 1 && read(out, line + size, 1) == 1 && line[size] != '\n')
        size++;
    line[size] = '\0';
    close(out);
    if (sscanf(line, "ready %255s", endpoint) != 1)
        fail("the broker is not ready");
}

static bool has_executors(void *arg)
{
    mp_broker_info_t info;
    return mp_broker_ping(endpoint, 1000, &info) == MP_OK && info.executors >= *(uint32_t *)arg;
}

static pid_t start_worker(int executors)
{
    char count[16];
    snprintf(count, sizeof count, "%d", executors);
    char *worker[] = {(char *)(uintptr_t) "/proc/self/exe",
                      (char *)(uintptr_t) "--mp-worker",
                      endpoint,
                      (char *)(uintptr_t) "--mp-procs",
                      count,
                      (char *)(uintptr_t) "--mp-have",
                      have,
                      NULL};
    pid_t pid = start(worker, NULL);
    all_executors += (uint32_t)executors;
    if (!harness_wait(has_executors, &all_executors))
        fail("the worker did not join");
    return pid;
}

const char *harness_broker(int executors)
{
    if (strcmp(harness_where, "local") == 0)
        return NULL;
    char listen[128] = "tcp://127.0.0.1:*";
    int out = -1;
    strcpy(directory, "/tmp/mp-test-XXXXXX");
    if (!mkdtemp(directory))
        fail("mkdtemp");
    if (strcmp(harness_where, "ipc") == 0)
        snprintf(listen, sizeof listen, "ipc://%s/broker", directory);
    char *program = getenv("MP_BROKER_BIN");
    if (!program)
        fail("MP_BROKER_BIN");
    char *broker[] = {program, (char *)(uintptr_t) "--listen", listen, NULL, NULL, NULL};
    snprintf(data, sizeof data, "%s/data", directory);
    if (strcmp(harness_where, "data") == 0) {
        broker[3] = (char *)(uintptr_t) "--data";
        broker[4] = data;
    }
    broker_pid = start(broker, &out);
    read_endpoint(out);
    worker_pid = start_worker(executors);
    return endpoint;
}

void harness_worker(int executors)
{
    further_pid = start_worker(executors);
}

void harness_have(const char *list)
{
    snprintf(have, sizeof have, "%s", list);
}

const char *harness_endpoint(void)
{
    return endpoint;
}

static void end(pid_t *pid)
{
    if (*pid > 0) {
        kill(*pid, SIGTERM);
        kill(*pid, SIGTERM);
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    *pid = 0;
}

static void remove_data(void)
{
    static const char *const names[] = {"/data.mdb", "/lock", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", data, names[i]);
        (void)remove(path);
    }
}

void harness_end(void)
{
    end(&further_pid);
    end(&worker_pid);
    all_executors = 0;
    end(&broker_pid);
    if (*data)
        remove_data();
    if (*directory && rmdir(directory) != 0)
        fail(directory); /* a socket file was left behind */
    directory[0] = '\0';
}

pid_t harness_worker_pid(void)
{
    return worker_pid;
}

pid_t harness_broker_pid(void)
{
    return broker_pid;
}
