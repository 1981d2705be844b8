/* keep_broker.h: an mp-broker with a data directory, that tests start, kill and start again at the
 * same address. MP_BROKER_BIN says where it is. What goes wrong here ends the process.
 */
#ifndef KEEP_BROKER_H
#define KEEP_BROKER_H

#include <errno.h>
#include <fcntl.h>
#include <mp/mp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEEP_PATH = 128, KEEP_READY_MS = 30000, NOBODY = 65534 };

typedef struct keep {
    char folder[KEEP_PATH]; /* of all below */
    char address[KEEP_PATH + 16];
    char data[KEEP_PATH + 16];
    char log[KEEP_PATH + 16];
    bool as_nobody; /* for root, who may do anything */
    pid_t pid;
} keep_t;

static inline int64_t keep_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void keep_sleep_us(long us)
{
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    (void)nanosleep(&pause, NULL);
}

static inline void keep_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(99);
}

static inline void keep_make(keep_t *self)
{
    const char *where = getenv("TMPDIR");
    *self = (keep_t){0};
    snprintf(self->folder, sizeof self->folder, "%.64s/mp-keep-XXXXXX",
             where && *where ? where : "/tmp");
    if (!mkdtemp(self->folder))
        keep_fail(self->folder);
    snprintf(self->address, sizeof self->address, "ipc://%s/broker", self->folder);
    snprintf(self->data, sizeof self->data, "%s/data", self->folder);
    snprintf(self->log, sizeof self->log, "%s/log", self->folder);
}

/* In the child. Its stdout is `out`. */
static inline void keep_exec(const keep_t *self, int out)
{
    const char *program = getenv("MP_BROKER_BIN");
    int log = open(self->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, 1);
    dup2(log, 2);
    if (self->as_nobody && geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(126);
    execl(program, program, "--listen", self->address, "--data", self->data, "--lease-ms", "1000",
          (char *)NULL);
    _exit(127);
}

/* Returns without waiting; what it says on stdout comes out of *out. */
static inline void keep_launch(keep_t *self, int *out)
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0 || (self->pid = fork()) < 0)
        keep_fail("a broker");
    if (self->pid == 0)
        keep_exec(self, pair[1]);
    close(pair[1]);
    *out = pair[0];
}

/* Wait until it has said that it is ready. false: it has ended, or never does. */
static inline bool keep_is_ready(int out)
{
    char text[256];
    struct pollfd fd = {.fd = out, .events = POLLIN};
    bool ready = poll(&fd, 1, KEEP_READY_MS) == 1 && read(out, text, sizeof text) > 5 &&
                 strncmp(text, "ready", 5) == 0;
    close(out);
    return ready;
}

static inline void keep_start(keep_t *self)
{
    int out = -1;
    keep_launch(self, &out);
    if (!keep_is_ready(out))
        keep_fail("the broker is not ready");
}

/* Its status as waitpid tells it. */
static inline int keep_end(keep_t *self, int number)
{
    int status = -1;
    kill(self->pid, number);
    while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR)
        ;
    self->pid = 0;
    return status;
}

/* How it ends by itself. */
static inline int keep_exit_status(keep_t *self)
{
    int status = -1, out = -1;
    keep_launch(self, &out);
    bool ready = keep_is_ready(out);
    if (ready)
        kill(self->pid, SIGKILL);
    while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR)
        ;
    self->pid = 0;
    return !ready && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* How many lines of its log have the word. */
static inline int keep_said(const keep_t *self, const char *word)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen(self->log, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        count += strstr(line, word) != NULL;
    fclose(file);
    return count;
}

static inline void keep_clear(keep_t *self)
{
    char command[KEEP_PATH + 32];
    if (self->pid)
        keep_end(self, SIGKILL);
    snprintf(command, sizeof command, "rm -rf '%s'", self->folder);
    if (system(command) != 0) // NOLINT(cert-env33-c)
        keep_fail(self->folder);
}

/* LMDB's number of the last transaction: how many commits there were. Both its first pages have
 * one; the higher counts. 0: there is none. */
static inline uint64_t keep_commits(const keep_t *self)
{
    enum { PAGE = 4096, AT = 144 };
    uint64_t numbers[2] = {0};
    char path[KEEP_PATH + 32];
    snprintf(path, sizeof path, "%s/data.mdb", self->data);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++)
        if (pread(fd, &numbers[i], sizeof numbers[i], (off_t)i * PAGE + AT) !=
            (ssize_t)sizeof numbers[i])
            numbers[i] = 0;
    close(fd);
    return numbers[0] > numbers[1] ? numbers[0] : numbers[1];
}

#endif
