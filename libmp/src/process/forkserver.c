#include "forkserver.h"

#include "bootstrap.h"
#include "children.h"
#include "clock.h"
#include "fault.h"
#include "forkguard.h"
#include "lifeline.h"
#include "logger.h"
#include "spawn.h"
#include "start_method.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 30000, FDS_MAX = 3, PRELOAD_BYTES = 4096 };

typedef struct answer {
    pid_t pid;
    int error;
} answer_t;

/* ---- messages with descriptors -------------------------------------------------------------- */

static bool send_with(int socket, const void *data, size_t size, const int *fds, size_t count)
{
    struct iovec bytes;
    void *copy = memcpy((char[64]){0}, data, size); /* sendmsg takes no const */
    bytes = (struct iovec){copy, size};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = room;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size;
}

/* Exactly that many descriptors, or none. */
static bool receive_with(int socket, void *data, size_t size, int *fds, size_t count)
{
    struct iovec bytes = {data, size};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    ssize_t n;
    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    size_t got =
        head && head->cmsg_type == SCM_RIGHTS ? (head->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    if (got == count && got > 0)
        memcpy(fds, CMSG_DATA(head), got * sizeof(int));
    return n == (ssize_t)size && got == count;
}

/* ---- the client's side ---------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int control = -1; /* -1: there is no server */
static mpx_started_t server;
static uint64_t generation;

static void install(void)
{
    mpx_forkguard_renew(&lock);
}

static void drop_server(void)
{
    if (control < 0)
        return;
    mpx_forkguard_remove(control);
    close(control); /* upon which it ends, if it hasn't */
    control = -1;
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    close(server.pidfd);
}

static mp_rc_t start_server(void)
{
    int pair[2];
    mpx_request_t request = {.purpose = MPX_BE_FORKSERVER,
                             .method = mp_get_start_method(),
                             .exit_join_ms = mpx_children_exit_join_ms()};
    mp_log_level_t level;
    request.log_level = mpx_logger_on_stderr(&level) ? (int)level : -1;
    snprintf(request.identity.name, sizeof request.identity.name, "ForkServer");
    snprintf(request.target, sizeof request.target, "%s", mpx_method_preload());
    request.identity.parent = mpx_life_self();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return mpx_fault_errno("a socket for the fork server");
    mp_rc_t rc = mpx_forkguard_add(pair[0]);
    if (rc == MP_OK) {
        rc = mpx_spawn(&request, NULL, pair[1], &server);
        if (rc != MP_OK)
            mpx_forkguard_remove(pair[0]);
    }
    close(pair[1]);
    if (rc != MP_OK) {
        close(pair[0]);
        return rc;
    }
    mpx_tell(MP_LOG_INFO, "the fork server is process %d", (int)server.pid);
    control = pair[0];
    return MP_OK;
}

static bool wait_readable(int fd)
{
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    int64_t deadline = mpx_deadline(mpx_now(), ANSWER_MS);
    int n;
    do
        n = poll(&answer, 1, mpx_poll_ms(mpx_now(), deadline));
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* MP_EOF: the server is gone, or doesn't answer. */
static mp_rc_t ask(const char *name, int file, mpx_started_t *out)
{
    int lifeline = -1;
    int status[2];
    answer_t answer = {0};
    mp_rc_t rc = mpx_lifeline_reader(&lifeline);
    if (rc != MP_OK)
        return rc;
    if (pipe2(status, O_CLOEXEC) != 0)
        return mpx_fault_errno("a pipe for the exit status of '%s'", name);
    bool sent = send_with(control, "", 1, (int[]){file, lifeline, status[1]}, 3);
    close(status[1]);
    int pidfd = -1;
    if (!sent || !wait_readable(control) ||
        !receive_with(control, &answer, sizeof answer, &pidfd, 1)) {
        rc = MP_EOF;
        if (answer.error) {
            errno = answer.error;
            rc = mpx_fault_errno("forking '%s' in the fork server", name);
        }
        close(status[0]);
        return rc;
    }
    *out = (mpx_started_t){answer.pid, pidfd, status[0]};
    return MP_OK;
}

static mp_rc_t start_locked(const char *name, int file, mpx_started_t *out)
{
    mp_rc_t rc = MP_EOF;
    if (generation != mpx_fork_generation()) {
        control = -1; /* closed by the guard; that server is the parent's */
        generation = mpx_fork_generation();
    }
    for (int tries = 0; rc == MP_EOF && tries < 2; tries++) {
        rc = control < 0 ? start_server() : MP_OK;
        if (rc == MP_OK)
            rc = ask(name, file, out);
        if (rc == MP_EOF) {
            mpx_tell(MP_LOG_WARNING, "the fork server is gone");
            drop_server();
        }
    }
    return rc == MP_EOF ? mpx_fault(MP_ESYSTEM, "the fork server dies before it answers") : rc;
}

mp_rc_t mpx_forkserver_start(const mpx_request_t *request, const void *item, mpx_started_t *out)
{
    int file = -1;
    mp_rc_t rc = mpx_request_write(request, item, &file);
    if (rc != MP_OK)
        return rc;
    mpx_bootstrap_flush();
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    rc = start_locked(request->identity.name, file, out);
    pthread_mutex_unlock(&lock);
    close(file);
    return rc;
}

/* ---- the server's side ---------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    int status_fd;
} child_t;

typedef struct nest {
    child_t *children;
    size_t count;
    size_t room;
    int signals;
} nest_t;

static void become_child(nest_t *self, const int fds[FDS_MAX])
{
    mpx_request_t request;
    void *item = NULL;
    close(MPX_SPAWN_CONTROL);
    close(self->signals);
    close(fds[2]);
    for (size_t i = 0; i < self->count; i++)
        close(self->children[i].status_fd);
    free(self->children);
    mpx_bootstrap_forked(fds[1]);
    if (mpx_request_read(fds[0], &request, &item) != MP_OK)
        _exit(MPX_CHILD_UNTIED);
    mpx_bootstrap_inherit(&request);
    mpx_bootstrap_become(&request.identity);
    const mp_target_t *target = mp_target_find(request.target);
    mpx_bootstrap_exit(target ? target->run(item, request.item_bytes) : MPX_CHILD_UNTIED);
}

static bool make_room(nest_t *self)
{
    if (self->count < self->room)
        return true;
    size_t room = self->room ? self->room * 2 : 16;
    child_t *grown = realloc(self->children, room * sizeof *grown);
    if (!grown)
        return false;
    self->children = grown;
    self->room = room;
    return true;
}

static void fork_child(nest_t *self, const int fds[FDS_MAX])
{
    answer_t answer = {.error = ENOMEM};
    int pidfd = -1;
    if (make_room(self)) {
        answer.pid = fork();
        if (answer.pid == 0)
            become_child(self, fds);
        answer.error = answer.pid < 0 ? errno : 0;
    }
    if (answer.pid > 0) {
        pidfd = pidfd_open(answer.pid, 0);
        answer.error = pidfd < 0 ? errno : 0;
        if (pidfd < 0) { /* one that can't be followed is none */
            kill(answer.pid, SIGKILL);
            waitpid(answer.pid, NULL, 0);
        }
    }
    (void)send_with(MPX_SPAWN_CONTROL, &answer, sizeof answer, &pidfd, pidfd >= 0);
    close(fds[0]);
    close(fds[1]);
    if (pidfd < 0) {
        close(fds[2]);
        return;
    }
    close(pidfd);
    self->children[self->count++] = (child_t){answer.pid, fds[2]};
}

static void reap_children(nest_t *self)
{
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < self->count; i++)
            if (self->children[i].pid == pid) {
                (void)!write(self->children[i].status_fd, &status, sizeof status);
                close(self->children[i].status_fd);
                self->children[i] = self->children[--self->count];
                break;
            }
}

static void run_preload(const char *name)
{
    char zeros[PRELOAD_BYTES] = {0};
    const mp_target_t *target = *name ? mp_target_find(name) : NULL;
    if (target)
        (void)target->run(zeros, target->item.bytes);
}

int mpx_forkserver_main(const char *preload)
{
    nest_t self = {0};
    sigset_t signals;
    fcntl(MPX_SPAWN_CONTROL, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "mp-forkserver");
    run_preload(preload);
    /* A Ctrl-C is for the program, not for its fork server. */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    self.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
        struct pollfd fds[2] = {{.fd = MPX_SPAWN_CONTROL, .events = POLLIN},
                                {.fd = self.signals, .events = POLLIN}};
        struct signalfd_siginfo info;
        char request;
        int passed[FDS_MAX];
        (void)poll(fds, 2, -1);
        if (fds[1].revents)
            (void)!read(self.signals, &info, sizeof info);
        reap_children(&self);
        if (!fds[0].revents)
            continue;
        if (!receive_with(MPX_SPAWN_CONTROL, &request, sizeof request, passed, FDS_MAX))
            break;
        fork_child(&self, passed);
    }
    /* Those that still run are not ours to end. */
    free(self.children);
    return 0;
}
