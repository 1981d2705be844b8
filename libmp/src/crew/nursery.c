#include "nursery_private.h"

#include "clock.h"
#include "executor.h"
#include "fault.h"
#include "forkguard.h"
#include "fresh.h"
#include "lifeline.h"
#include "scale.h"
#include "shortage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One executor, or the wish for one. */
typedef struct child {
    pid_t pid;    /* 0: none */
    int lifeline; /* the pipe's write end: when we end, the executor's group is killed */
    int errors;   /* its stderr, for reading; -1: none */
    int output;   /* its calls' stdout, where that is wanted elsewhere; the same */
    uint32_t modules;
    mpx_words_t *words;
    int fds[MPX_NURSERY_FDS]; /* to be started with; -1: none, or not wanted */
    bool patient;             /* that can wait while others live */
    int64_t try_at;           /* next; and how long to pause after that try, */
    int pause_ms;
    int64_t give_up_at;
    bool killed; /* by us, for its owner */
    mpx_scale_t scale;
} child_t;

typedef struct nursery {
    const mpx_crew_options_t *options;
    int control;
    int signals;
    child_t *children;
    uint32_t count;     /* of the places for them */
    struct pollfd *fds; /* control, signals, our stderr, stderr and output of each child */
    char *modules[MPX_MODULES_MAX]; /* loaded later */
    bool full;                      /* the owner takes no more of what calls write: they wait */
    bool stuck;       /* our stderr takes no more: its readers wait, and so do our children */
    int64_t weigh_at; /* when it is looked at next what children have of memory */
    int64_t doze_at;  /* from then on they need not be looked at, if all of them rest */
    mpx_shortage_t shortage;
} nursery_t;

enum {
    PAUSE_MS = 50, /* after a fork that failed; then twice as long, up to */
    PAUSE_MAX_MS = 1600,
    GIVE_UP_MS = 3000,
    WEIGH_MS = 20,
    QUIET_MS = 500,
    SAID_BYTES = 4096,
    LAST_SAID_BYTES = 1 << 20,
    LOAD_MAX = 1024 + MPX_MODULES_MAX
};
enum { CONTROL, SIGNALS, ERRORS, CHILDREN }; /* of nursery_t.fds */
enum { PIPES = 2 };                          /* of each child */

/* ---- in the executor's process, before it is one ---------------------------------------- */

/* Those of the options, and the first of those that came later. */
static const char *const *all_modules(const nursery_t *self, uint32_t count,
                                      const char *load[LOAD_MAX + 1])
{
    size_t n = 0;
    for (const char *const *at = self->options->load; at && *at && n < LOAD_MAX; at++)
        load[n++] = *at;
    if (count == 0)
        return self->options->load;
    for (uint32_t i = 0; i < count && n < LOAD_MAX; i++)
        load[n++] = self->modules[i];
    load[n] = NULL;
    return load;
}

static void become_executor(const nursery_t *self, const child_t *me, const int lifeline[2],
                            const int errors[2], const int output[2])
{
    setpgid(0, 0);
    for (uint32_t slot = 0; slot < self->count; slot++) {
        if (self->children[slot].lifeline >= 0)
            close(self->children[slot].lifeline);
        if (self->children[slot].errors >= 0)
            close(self->children[slot].errors);
        if (self->children[slot].output >= 0)
            close(self->children[slot].output);
    }
    dup2(errors[1], STDERR_FILENO);
    close(errors[0]);
    close(errors[1]);
    close(output[0]);
    close(lifeline[1]);
    close(self->control);
    close(self->signals);
    if (!mpx_lifeline_arm(lifeline[0], -getpid()))
        _exit(MPX_EXECUTOR_UNARMED);

    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_NAME, "mp-executor");
    mpx_words_arm(me->words);
    const char *load[LOAD_MAX + 1];
    mpx_crew_options_t options = *self->options;
    options.load = all_modules(self, me->modules, load);
    mpx_executor_run(me->fds, &options, me->words, output[1]);
}

/* ---- the nursery's process --------------------------------------------------------------- */

/* What travels of a report: its words without the room behind them. */
static void send_report(const nursery_t *self, mpx_report_t *report)
{
    size_t said = strlen(report->error_output) + 1;
    size_t backtrace = strlen(report->backtrace) + 1;
    struct iovec parts[] = {{report, offsetof(mpx_report_t, error_output)},
                            {report->error_output, said},
                            {report->backtrace, backtrace}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    ssize_t n;
    do
        n = sendmsg(self->control, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
}

/* What a call has written, if the owner takes it at once: nobody waits for that. */
static bool send_said(const nursery_t *self, mpx_report_t *report, const char *bytes, size_t size)
{
    struct iovec parts[] = {{report, offsetof(mpx_report_t, error_output)},
                            {(void *)(uintptr_t)bytes, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    report->size = size;
    do
        n = sendmsg(self->control, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}

static void report(const nursery_t *self, mpx_report_kind_t kind, uint32_t slot, pid_t pid,
                   int value)
{
    mpx_report_t report = {.kind = kind, .slot = slot, .pid = pid, .value = value};
    send_report(self, &report);
}

static void drop_fds(int fds[MPX_NURSERY_FDS])
{
    for (size_t i = 0; i < MPX_NURSERY_FDS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static void close_pair(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int make_pipe(int ends[2], bool waits)
{
    if (pipe2(ends, O_CLOEXEC) != 0)
        return errno;
    if (waits || fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        return 0;
    int error = errno;
    close_pair(ends);
    return error;
}

static int make_pipes(int lifeline[2], int errors[2], int output[2])
{
    int error = make_pipe(lifeline, true);
    if (error)
        return error;
    error = make_pipe(errors, false);
    if (!error) {
        error = make_pipe(output, false);
        if (error)
            close_pair(errors);
    }
    if (error)
        close_pair(lifeline);
    return error;
}

static int fork_executor(const nursery_t *self, child_t *child)
{
    int lifeline[2], errors[2], output[2];
    if (!child->words && !(child->words = mpx_words_new(self->options->memory_limit_bytes != 0)))
        return ENOMEM;
    int error = make_pipes(lifeline, errors, output);
    if (error)
        return error;
    pid_t pid = fork();
    error = errno;
    if (pid == 0)
        become_executor(self, child, lifeline, errors, output);
    if (pid < 0) {
        close_pair(lifeline);
        close_pair(errors);
        close_pair(output);
        return error;
    }
    close(lifeline[0]);
    close(errors[1]);
    close(output[1]);
    setpgid(pid, pid); /* both sides do it: whoever comes first */
    child->pid = pid;
    child->killed = false;
    child->lifeline = lifeline[1];
    child->errors = errors[0];
    child->output = output[0];
    return 0;
}

/* ---- their memory -------------------------------------------------------------------------- */

/* Something begins, or may: children are looked at for a while. */
static void weigh_soon(nursery_t *self, int64_t now)
{
    if (!self->options->memory_limit_bytes)
        return;
    self->weigh_at = mpx_earlier(self->weigh_at, now);
    self->doze_at = now + QUIET_MS * MPX_MS;
}

/* Who has taken too much is killed in the midst of its call. Whether it can be left alone. */
static bool weigh(const nursery_t *self, child_t *child)
{
    bool still;
    if (!child->pid)
        return true;
    if (mpx_scale_weigh(&child->scale, child->pid, child->words, self->options->memory_limit_bytes,
                        &still))
        kill(-child->pid, SIGKILL);
    return still && mpx_scale_rests(&child->scale, child->words);
}

/* All of them will tell when they begin a call; false: one has just begun, or can't tell. */
static bool doze(const nursery_t *self)
{
    bool rest = true;
    for (uint32_t slot = 0; slot < self->count; slot++)
        if (self->children[slot].pid)
            rest = mpx_words_announce(self->children[slot].words) && rest;
    for (uint32_t slot = 0; slot < self->count; slot++) {
        const child_t *child = &self->children[slot];
        rest = rest && (!child->pid || mpx_scale_rests(&child->scale, child->words));
    }
    return rest;
}

static void weigh_all(nursery_t *self, int64_t now)
{
    bool quiet = true;
    if (now < self->weigh_at)
        return;
    for (uint32_t slot = 0; slot < self->count; slot++)
        quiet = weigh(self, &self->children[slot]) && quiet;
    if (!quiet)
        self->doze_at = now + QUIET_MS * MPX_MS;
    self->weigh_at = now >= self->doze_at && doze(self) ? MPX_NEVER : now + WEIGH_MS * MPX_MS;
}

/* ---- starting ---------------------------------------------------------------------------- */

static bool somebody_lives(const nursery_t *self)
{
    for (uint32_t slot = 0; slot < self->count; slot++)
        if (self->children[slot].pid)
            return true;
    return false;
}

/* What was short for a moment costs a moment; what stays short ends the wish, unless others live:
 * they need not end with it, and each that ends makes room. */
static bool may_wait(const nursery_t *self, child_t *child, int64_t now)
{
    if (child->patient && somebody_lives(self))
        child->give_up_at = now + GIVE_UP_MS * MPX_MS;
    return now < child->give_up_at;
}

static void put_off(const nursery_t *self, uint32_t slot, int64_t now, int error)
{
    child_t *child = &self->children[slot];
    child->try_at = now + child->pause_ms * MPX_MS;
    if (child->pause_ms == PAUSE_MAX_MS)
        return;
    child->pause_ms *= 2;
    if (child->pause_ms == PAUSE_MAX_MS)
        report(self, MPX_REPORT_DELAYED, slot, 0, error);
}

static void try_to_start(nursery_t *self, uint32_t slot, int64_t now)
{
    child_t *child = &self->children[slot];
    int error = fork_executor(self, child);
    if (error && may_wait(self, child, now)) {
        put_off(self, slot, now, error);
        return;
    }
    if (!error && self->options->memory_limit_bytes) {
        mpx_scale_begin(&child->scale, child->fds[0]);
        weigh_soon(self, now);
    }
    drop_fds(child->fds);
    if (error)
        report(self, MPX_REPORT_NOT_STARTED, slot, 0, error);
    else
        report(self, MPX_REPORT_STARTED, slot, child->pid, 0);
}

/* When to try again at the latest. */
static int64_t start_wanted(nursery_t *self, int64_t now)
{
    int64_t next = MPX_NEVER;
    for (uint32_t slot = 0; slot < self->count; slot++) {
        child_t *child = &self->children[slot];
        if (child->fds[0] >= 0 && child->pid == 0 && child->try_at <= now)
            try_to_start(self, slot, now);
        if (child->fds[0] >= 0)
            next = mpx_earlier(next, child->try_at);
    }
    return next;
}

/* Whether a write there would not block; that nobody reads there any more is no reason to wait. */
static bool can_write(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return poll(&room, 1, 0) != 0;
}

/* In the name of the call that wants it. false: none does. */
static bool forward(const nursery_t *self, const child_t *child, uint32_t stream, const char *said,
                    size_t size)
{
    mpx_report_t report = {.kind = MPX_REPORT_SAID,
                           .slot = (uint32_t)(child - self->children),
                           .pid = child->pid,
                           .value = (int)stream};
    if (!mpx_words_wanted(child->words, &report.chunk, &report.index))
        return false;
    size_t allowed = mpx_words_allow(child->words, size);
    if (allowed && !send_said(self, &report, said, allowed))
        mpx_words_lose(child->words, allowed);
    return true;
}

/* Pass some of it on. false: nothing is there, or nothing more will be. */
static bool listen_to(const nursery_t *self, child_t *child)
{
    char said[SAID_BYTES];
    mpx_words_listen(child->words, false);
    ssize_t n = read(child->errors, said, sizeof said);
    bool forwarded = n > 0 && forward(self, child, MPX_STDERR, said, (size_t)n);
    mpx_words_hear(child->words, said, n > 0 ? (size_t)n : 0);
    if (n <= 0)
        return false;
    if (!forwarded && can_write(STDERR_FILENO))
        (void)!write(STDERR_FILENO, said, (size_t)n);
    return true;
}

/* The same of its calls' stdout; what comes when nobody wants it any more is a straggler's. */
static bool listen_to_output(const nursery_t *self, child_t *child)
{
    char said[SAID_BYTES];
    mpx_words_listen(child->words, true);
    ssize_t n = read(child->output, said, sizeof said);
    if (n > 0 && !forward(self, child, MPX_STDOUT, said, (size_t)n) && can_write(STDOUT_FILENO))
        (void)!write(STDOUT_FILENO, said, (size_t)n);
    mpx_words_hear_output(child->words);
    return n > 0;
}

static void stop_listening(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool is_forwarded(const child_t *child)
{
    uint64_t chunk, index;
    return child->words && mpx_words_wanted(child->words, &chunk, &index);
}

/* For its owner. */
static bool must_wait(nursery_t *self, const child_t *child)
{
    if (!is_forwarded(child))
        return false;
    self->full = !can_write(self->control);
    return self->full;
}

static void listen_to_all(nursery_t *self)
{
    for (uint32_t slot = 0; slot < self->count; slot++) {
        child_t *child = &self->children[slot];
        const struct pollfd *fds = &self->fds[CHILDREN + PIPES * slot];
        if ((fds[0].revents || fds[1].revents) && must_wait(self, child))
            continue;
        if (fds[1].revents && child->output >= 0 && !listen_to_output(self, child) &&
            errno != EAGAIN && errno != EINTR)
            stop_listening(&child->output);
        if (!fds[0].revents || child->errors < 0)
            continue;
        self->stuck = !is_forwarded(child) && !can_write(STDERR_FILENO);
        if (self->stuck)
            return;
        if (!listen_to(self, child) && errno != EAGAIN && errno != EINTR)
            stop_listening(&child->errors); /* it has closed its stderr */
    }
}

/* What a dead executor has said is heard to its end, even if nobody takes it from us. */
static void hear_last_words(const nursery_t *self, child_t *child, mpx_report_t *out)
{
    for (int bytes = 0; bytes < LAST_SAID_BYTES; bytes += SAID_BYTES)
        if (child->output < 0 || !listen_to_output(self, child))
            break;
    for (int bytes = 0; bytes < LAST_SAID_BYTES; bytes += SAID_BYTES)
        if (child->errors < 0 || !listen_to(self, child))
            break;
    stop_listening(&child->errors);
    stop_listening(&child->output);
    mpx_report_t unsaid = *out;
    unsaid.kind = MPX_REPORT_SAID;
    unsaid.value = 0;
    unsaid.unsaid = mpx_words_unsaid(child->words);
    if (mpx_words_wanted(child->words, &unsaid.chunk, &unsaid.index) && unsaid.unsaid)
        (void)send_said(self, &unsaid, NULL, 0);
    mpx_words_last(child->words, out->error_output, out->backtrace);
    mpx_words_free(child->words);
    child->words = NULL;
}

/* Of a dead one. A SIGKILL that is nobody's of ours may be the kernel's. */
static mpx_want_t want_of(nursery_t *self, const child_t *child, int status)
{
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed || child->scale.taken_bytes)
        return killed ? MPX_WANT_LIMIT : MPX_WANT_NONE;
    return !child->killed && mpx_shortage_took(&self->shortage, mpx_now()) ? MPX_WANT_KERNEL
                                                                           : MPX_WANT_NONE;
}

/* The group first: as long as its leader isn't reaped, its number can't be anybody else's. */
static void bury(nursery_t *self, uint32_t slot)
{
    child_t *child = &self->children[slot];
    mpx_report_t last = {.kind = MPX_REPORT_EXITED, .slot = slot, .pid = child->pid};
    int status = 0;
    kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(child->lifeline);
    child->lifeline = -1;
    last.value = status;
    last.want = want_of(self, child, status);
    last.taken_bytes = child->scale.taken_bytes;
    mpx_scale_end(&child->scale);
    hear_last_words(self, child, &last);
    send_report(self, &last);
    child->pid = 0;
    int64_t give_up_at = mpx_now() + GIVE_UP_MS * MPX_MS;
    for (uint32_t other = 0; other < self->count; other++) {
        child_t *waits = &self->children[other];
        waits->try_at = 0; /* there is room for one again */
        if (waits->patient)
            waits->give_up_at = give_up_at; /* one lived until now */
    }
}

static void bury_dead(nursery_t *self)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        uint32_t slot = 0;
        while (slot < self->count && self->children[slot].pid != info.si_pid)
            slot++;
        if (slot < self->count)
            bury(self, slot);
        else /* a process that an executor left behind, if this one is a reaper of orphans */
            waitpid(info.si_pid, NULL, 0);
    }
}

static void end_all(nursery_t *self)
{
    for (uint32_t slot = 0; slot < self->count; slot++)
        if (self->children[slot].pid)
            bury(self, slot);
    _exit(0);
}

/* Without memory there is no nursery; the owner makes another one. */
static void make_places(nursery_t *self, uint32_t count)
{
    child_t *children = realloc(self->children, count * sizeof *children);
    struct pollfd *fds = realloc(self->fds, (CHILDREN + PIPES * count) * sizeof *fds);
    if (!children || !fds)
        _exit(1);
    self->children = children;
    self->fds = fds;
    for (uint32_t slot = self->count; slot < count; slot++) {
        self->children[slot] =
            (child_t){.lifeline = -1, .errors = -1, .output = -1, .fds = {-1, -1, -1, -1}};
        for (uint32_t i = 0; i < PIPES; i++)
            self->fds[CHILDREN + PIPES * slot + i] = (struct pollfd){.fd = -1};
    }
    self->count = count;
}

static void on_request(nursery_t *self, const request_t *request, const int fds[MPX_NURSERY_FDS])
{
    if (request->slot >= self->count)
        make_places(self, request->slot + 1);
    child_t *child = &self->children[request->slot];
    if (request->kind == SPAWN) {
        memcpy(child->fds, fds, sizeof child->fds);
        child->modules = request->modules;
        child->patient = request->patient;
        child->try_at = 0;
        child->pause_ms = PAUSE_MS;
        child->give_up_at = mpx_now() + GIVE_UP_MS * MPX_MS;
    } else if (child->pid && child->pid == request->pid) {
        child->killed = child->killed || request->signal == SIGKILL;
        kill(-child->pid, request->signal);
    }
}

static void on_load(nursery_t *self, uint32_t number, const char *path)
{
    if (number >= MPX_MODULES_MAX)
        return;
    free(self->modules[number]);
    self->modules[number] = strdup(path);
    if (!self->modules[number])
        _exit(1);
}

static void take_request(nursery_t *self)
{
    request_t request = {0};
    char path[MPX_MODULE_PATH_MAX] = "";
    int fds[MPX_NURSERY_FDS] = {-1, -1, -1, -1};
    struct iovec bytes[] = {{&request, sizeof request}, {path, sizeof path - 1}};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof fds)];
    struct msghdr message = {
        .msg_iov = bytes,
        .msg_iovlen = 2,
        .msg_control = room,
        .msg_controllen = sizeof room,
    };
    ssize_t n = recvmsg(self->control, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_all(self);
    if (n < (ssize_t)sizeof request)
        return;
    if (request.kind == LOAD) {
        on_load(self, request.slot, path);
        return;
    }
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len <= CMSG_LEN(sizeof fds))
        memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
    if (request.kind == SIGNAL || fds[0] >= 0)
        on_request(self, &request, fds);
}

/* What a child of the program has that ours should not: handlers, a group that the terminal
 * signals, output that the program had buffered, its standard input, its broker. */
static void shed(const mpx_crew_options_t *options)
{
    setpgid(0, 0);
    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); /* nobody may read our stderr */
    __fpurge(stdout);
    __fpurge(stderr);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (options->worker_stdout > 0)
        dup2(options->worker_stdout, STDOUT_FILENO);
    unsetenv("MP_BROKER");
    prctl(PR_SET_NAME, "mp-nursery");
}

static void watch(const nursery_t *self, uint32_t slot)
{
    const child_t *child = &self->children[slot];
    struct pollfd *fds = &self->fds[CHILDREN + PIPES * slot];
    bool waits = is_forwarded(child) ? self->full : self->stuck;
    fds[0] = (struct pollfd){.fd = waits ? -1 : child->errors, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = self->full ? -1 : child->output, .events = POLLIN};
}

/* With our own stderr stuck, children are not heard: the pipe fills, and they wait as they would
 * have without us. */
static void wait_for_news(nursery_t *self, int64_t until)
{
    short room = self->full ? POLLOUT : 0;
    self->fds[CONTROL] = (struct pollfd){.fd = self->control, .events = (short)(POLLIN | room)};
    self->fds[SIGNALS] = (struct pollfd){.fd = self->signals, .events = POLLIN};
    self->fds[ERRORS] = (struct pollfd){.fd = self->stuck ? STDERR_FILENO : -1, .events = POLLOUT};
    for (uint32_t slot = 0; slot < self->count; slot++)
        watch(self, slot);
    if (poll(self->fds, CHILDREN + PIPES * self->count, mpx_poll_ms(mpx_now(), until)) <= 0)
        for (uint32_t i = 0; i < CHILDREN + PIPES * self->count; i++)
            self->fds[i].revents = 0;
    if (self->fds[ERRORS].revents)
        self->stuck = false;
    if (self->fds[CONTROL].revents & POLLOUT)
        self->full = false;
}

/* Of a death, or of a call that begins. */
static void take_signals(nursery_t *self, int64_t now)
{
    struct signalfd_siginfo info;
    if (!self->fds[SIGNALS].revents)
        return;
    (void)!read(self->signals, &info, sizeof info);
    weigh_soon(self, now);
}

static void serve(nursery_t *self)
{
    sigset_t child_died;
    sigemptyset(&child_died);
    sigaddset(&child_died, SIGCHLD);
    sigprocmask(SIG_SETMASK, &child_died, NULL);
    self->signals = signalfd(-1, &child_died, SFD_CLOEXEC | SFD_NONBLOCK);
    if (self->signals < 0)
        _exit(1);
    make_places(self, self->options->size);
    mpx_shortage_begin(&self->shortage, NULL);

    self->weigh_at = MPX_NEVER;
    int64_t until = MPX_NEVER;
    for (;;) {
        wait_for_news(self, until);
        int64_t now = mpx_now();
        take_signals(self, now);
        weigh_all(self, now);
        bury_dead(self);
        listen_to_all(self);
        if (self->fds[CONTROL].revents & ~POLLOUT)
            take_request(self);
        until = start_wanted(self, now);
        until = mpx_earlier(until, self->weigh_at); /* which it may have changed */
    }
}

/* ---- its life ---------------------------------------------------------------------------- */

void mpx_nursery_serve(const mpx_crew_options_t *options, int control)
{
    shed(options);
    nursery_t self = {.options = options, .control = control};
    serve(&self);
}

int mpx_nursery_main(const void *item, size_t size, int control)
{
    mpx_crew_options_t options;
    if (!mpx_fresh_read(item, size, &options))
        return EXIT_FAILURE;
    mpx_nursery_serve(&options, control);
    return EXIT_SUCCESS;
}
