/* nursery_owner.c: the nursery as its owner sees it. */
#include "nursery_private.h"

#include "fault.h"
#include "forkguard.h"
#include "fresh.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_MS = 2000 };

/* The owner's end of the control socket is closed by the fork guard. */
static mp_rc_t fork_nursery(const mpx_crew_options_t *options, int control, pid_t *pid)
{
    *pid = fork();
    if (*pid < 0)
        return mpx_fault_errno("forking the workers' nursery");
    if (*pid > 0)
        return MP_OK;
    mpx_nursery_serve(options, control);
    return MP_OK;
}

mp_rc_t mpx_nursery_start(const mpx_crew_options_t *options, mpx_nursery_t *out)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return mpx_fault_errno("a socket for the workers' nursery");
    if (mpx_forkguard_add(pair[0]) != MP_OK) {
        close(pair[0]);
        close(pair[1]);
        return mpx_fault(MP_ENOMEM, "the workers' nursery");
    }
    pid_t pid = -1;
    mp_rc_t rc = options->fresh ? mpx_fresh_start(options, pair[1], &pid)
                                : fork_nursery(options, pair[1], &pid);
    close(pair[1]);
    if (rc != MP_OK) {
        mpx_forkguard_remove(pair[0]);
        close(pair[0]);
        return rc;
    }
    *out = (mpx_nursery_t){.control = pair[0], .pid = pid};
    return MP_OK;
}

void mpx_nursery_stop(mpx_nursery_t *self)
{
    if (self->control < 0)
        return;
    mpx_forkguard_remove(self->control);
    close(self->control);
    self->control = -1;
    struct pollfd ended = {.fd = pidfd_open(self->pid, 0), .events = POLLIN};
    if (ended.fd >= 0) {
        int n;
        do
            n = poll(&ended, 1, STOP_MS);
        while (n < 0 && errno == EINTR);
        if (n == 0)
            kill(self->pid, SIGKILL);
        close(ended.fd);
    }
    while (waitpid(self->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

mp_rc_t mpx_nursery_load(const mpx_nursery_t *self, uint32_t number, const char *path)
{
    request_t request = {.kind = LOAD, .slot = number};
    size_t length = strlen(path);
    struct iovec parts[] = {{&request, sizeof request}, {(void *)(uintptr_t)path, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (length >= MPX_MODULE_PATH_MAX)
        return mpx_fault(MP_EINVAL, "the path of a module is too long: %zu bytes", length);
    if (sendmsg(self->control, &message, MSG_NOSIGNAL) < 0)
        return mpx_fault_errno("asking the workers' nursery");
    return MP_OK;
}

mp_rc_t mpx_nursery_spawn(const mpx_nursery_t *self, uint32_t slot, const int fds[MPX_NURSERY_FDS],
                          uint32_t modules, bool patient)
{
    request_t request = {.kind = SPAWN, .slot = slot, .modules = modules, .patient = patient};
    struct iovec bytes = {&request, sizeof request};
    size_t size = (fds[2] >= 0 ? 4 : 2) * sizeof(int);
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(MPX_NURSERY_FDS * sizeof(int))] = {0};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = room,
        .msg_controllen = CMSG_SPACE(size),
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(head), fds, size);
    if (sendmsg(self->control, &message, MSG_NOSIGNAL) < 0)
        return mpx_fault_errno("asking the workers' nursery");
    return MP_OK;
}

void mpx_nursery_signal(const mpx_nursery_t *self, uint32_t slot, pid_t pid, int signal)
{
    request_t request = {.kind = SIGNAL, .slot = slot, .pid = pid, .signal = signal};
    (void)!send(self->control, &request, sizeof request, MSG_NOSIGNAL);
}

/* Copy the string that begins there; where the next one does. */
static const char *take_words(const char *at, const char *end, char out[MPX_WORDS_MAX + 1])
{
    size_t size = strnlen(at, (size_t)(end - at));
    size_t fits = size < MPX_WORDS_MAX ? size : MPX_WORDS_MAX;
    memcpy(out, at, fits);
    out[fits] = '\0';
    return at + size < end ? at + size + 1 : end;
}

mp_rc_t mpx_nursery_report(const mpx_nursery_t *self, mpx_report_t *out)
{
    const size_t head = offsetof(mpx_report_t, error_output);
    char words[2 * (MPX_WORDS_MAX + 1)];
    struct iovec parts[] = {{out, head}, {words, sizeof words}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    do
        n = recvmsg(self->control, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return MP_EBUSY;
    if (n < (ssize_t)head)
        return MP_EOF;
    if (out->kind == MPX_REPORT_SAID) {
        out->size = (size_t)n - head < MPX_WORDS_MAX ? (size_t)n - head : MPX_WORDS_MAX;
        memcpy(out->error_output, words, out->size);
        return MP_OK;
    }
    const char *rest = take_words(words, words + n - head, out->error_output);
    (void)take_words(rest, words + n - head, out->backtrace);
    return MP_OK;
}
