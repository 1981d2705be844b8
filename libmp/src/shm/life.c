#include "life.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

typedef struct stat_line {
    char state;
    uint32_t born; /* clock ticks since the host started, as far as they fit */
} stat_line_t;

/* proc(5): the name in parentheses may hold anything, so what follows is found from the end;
 * the start time is the 22nd field. */
static bool parse(char *line, stat_line_t *out)
{
    enum { STATE = 3, START = 22 };
    char *at = strrchr(line, ')');
    if (!at)
        return false;
    char *rest = NULL;
    const char *field = strtok_r(at + 1, " ", &rest);
    out->state = field ? *field : '?';
    for (int i = STATE; field && i < START; i++)
        field = strtok_r(NULL, " ", &rest);
    if (!field)
        return false;
    out->born = (uint32_t)strtoull(field, NULL, 10);
    return true;
}

static bool read_stat(pid_t pid, stat_line_t *out)
{
    char path[32];
    char line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, line, sizeof line - 1);
    close(fd);
    if (size <= 0)
        return false;
    line[size] = 0;
    return parse(line, out);
}

/* A leader that ended before its other threads is a zombie too; its pidfd knows better. */
static bool has_ended(pid_t pid)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        return errno == ESRCH;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    bool result = poll(&ended, 1, 0) == 1;
    close(fd);
    return result;
}

mpx_life_t mpx_life_of(pid_t pid)
{
    stat_line_t stat = {0};
    if (pid <= 0 || (!read_stat(pid, &stat) && has_ended(pid)))
        return 0;
    return (uint64_t)pid << 32 | stat.born;
}

/* ---- who we are, remembered ------------------------------------------------------------------ */

static _Atomic mpx_life_t self_life;
static pthread_once_t once = PTHREAD_ONCE_INIT;

_Thread_local uint64_t mpx_thread_named __attribute__((tls_model("initial-exec")));

static void forget(void)
{
    mpx_thread_named = 0;
    atomic_store(&self_life, 0);
}

static void install(void)
{
    (void)pthread_atfork(NULL, NULL, forget);
}

mpx_life_t mpx_life_self(void)
{
    mpx_life_t life = atomic_load_explicit(&self_life, memory_order_relaxed);
    if (life)
        return life;
    pthread_once(&once, install);
    life = mpx_life_of(getpid());
    atomic_store_explicit(&self_life, life, memory_order_relaxed);
    return life;
}

/* The number of a thread is used again after it, so the time of its first call is added. */
uint64_t mpx_thread_name(void)
{
    pthread_once(&once, install);
    mpx_thread_named = (uint64_t)gettid() << 32 | (uint32_t)(mpx_now() >> 10) | 1;
    return mpx_thread_named;
}

bool mpx_life_gone(mpx_life_t life)
{
    stat_line_t stat;
    pid_t pid = mpx_life_pid(life);
    if (life == 0)
        return true;
    if (!read_stat(pid, &stat))
        return has_ended(pid);
    return stat.born != (uint32_t)life ||
           ((stat.state == 'Z' || stat.state == 'X') && has_ended(pid));
}
