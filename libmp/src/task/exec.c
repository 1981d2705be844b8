#include "exec.h"

#include "buf.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT, ERR, ERRNO, PIPES, ARGS_MAX = 65536, READ_BYTES = 65536 };

/* A running command. */
typedef struct command {
    char **argv;
    pid_t pid;
    int pidfd;
    int fds[PIPES]; /* our ends; -1: closed */
    mpx_buf_t outputs[2];
    int error; /* why it could not be run; 0: it was */
    bool too_large;
} command_t;

/* ---- input ------------------------------------------------------------------------------ */

/* The strings of the input as an argv, which points into it. NULL: malformed. */
static char **parse(mp_bytes_t in)
{
    const unsigned char *bytes = in.data;
    if (in.size < 2 || bytes[in.size - 1] != '\0' || (bytes[0] & ~MPX_EXEC_SHELL))
        return NULL;
    size_t count = 0;
    for (size_t i = 1; i < in.size; i++)
        count += bytes[i] == '\0';
    bool shell = bytes[0] & MPX_EXEC_SHELL;
    char **argv = count <= ARGS_MAX ? calloc(count + 3, sizeof *argv) : NULL;
    if (!argv)
        return NULL;
    size_t n = 0;
    if (shell) {
        argv[n++] = (char *)(uintptr_t) "/bin/sh";
        argv[n++] = (char *)(uintptr_t) "-c";
    }
    for (const char *at = (const char *)bytes + 1; at < (const char *)bytes + in.size;
         at += strlen(at) + 1)
        argv[n++] = (char *)(uintptr_t)at;
    return argv;
}

/* ---- start ------------------------------------------------------------------------------ */

static void run_child(const command_t *self, const int ends[PIPES])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, 0) >= 0 && dup2(ends[OUT], 1) >= 0 && dup2(ends[ERR], 2) >= 0)
        execvp(self->argv[0], self->argv);
    int error = errno;
    (void)!write(ends[ERRNO], &error, sizeof error);
    _exit(127);
}

static void close_all(int fds[PIPES])
{
    for (int i = 0; i < PIPES; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static bool open_pipes(int ours[PIPES], int theirs[PIPES])
{
    for (int i = 0; i < PIPES; i++)
        ours[i] = theirs[i] = -1;
    for (int i = 0; i < PIPES; i++) {
        int pair[2];
        if (pipe2(pair, O_CLOEXEC) != 0)
            return false;
        ours[i] = pair[0];
        theirs[i] = pair[1];
    }
    return true;
}

static int start(command_t *self)
{
    int theirs[PIPES];
    int error = 0;
    if (!open_pipes(self->fds, theirs))
        error = errno;
    if (!error) {
        self->pid = fork();
        if (self->pid == 0)
            run_child(self, theirs);
        error = self->pid < 0 ? errno : 0;
    }
    close_all(theirs);
    if (!error) {
        /* Closed by a successful exec, so this doesn't block for longer than that takes. */
        if (read(self->fds[ERRNO], &self->error, sizeof self->error) < 0)
            self->error = 0;
        self->pidfd = pidfd_open(self->pid, 0);
        fcntl(self->fds[OUT], F_SETFL, O_NONBLOCK);
        fcntl(self->fds[ERR], F_SETFL, O_NONBLOCK);
    }
    return error;
}

/* ---- run -------------------------------------------------------------------------------- */

/* Take what there is; at the end, close it. */
static void drain(command_t *self, int which)
{
    for (;;) {
        mpx_buf_t *output = &self->outputs[which];
        void *at = mpx_buf_reserve(output, READ_BYTES);
        if (!at) {
            self->too_large = true;
            return;
        }
        ssize_t n = read(self->fds[which], at, READ_BYTES);
        if (n > 0) {
            output->size += (size_t)n;
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close(self->fds[which]);
        self->fds[which] = -1;
        return;
    }
}

/* Until the command is over and its outputs are closed; see exec.h for what it left behind. */
static void listen_to(command_t *self)
{
    int64_t until = MPX_NEVER;
    while (!self->too_large && (self->pidfd >= 0 || self->fds[OUT] >= 0 || self->fds[ERR] >= 0)) {
        struct pollfd polls[3] = {
            {.fd = self->fds[OUT], .events = POLLIN},
            {.fd = self->fds[ERR], .events = POLLIN},
            {.fd = self->pidfd, .events = POLLIN},
        };
        int64_t now = mpx_now();
        if (now >= until)
            return;
        if (poll(polls, 3, mpx_poll_ms(now, until)) < 0 && errno != EINTR)
            return;
        for (int which = OUT; which <= ERR; which++)
            if (self->fds[which] >= 0 && polls[which].revents)
                drain(self, which);
        if (self->pidfd >= 0 && polls[2].revents) {
            close(self->pidfd);
            self->pidfd = -1;
            until = mpx_deadline(mpx_now(), MPX_EXEC_GRACE_MS);
        }
    }
}

static int end(command_t *self)
{
    int status = 0;
    if (self->too_large)
        kill(self->pid, SIGKILL);
    while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (self->pidfd >= 0)
        close(self->pidfd);
    close_all(self->fds);
    return status;
}

/* ---- result ----------------------------------------------------------------------------- */

static int report(mp_call_t *call, const command_t *self, int status)
{
    unsigned char length[4];
    mpx_store_u32(length, (uint32_t)self->outputs[OUT].size);
    int rc = mp_call_write(call, length, sizeof length);
    if (rc == MP_OK)
        rc = mp_call_write(call, self->outputs[OUT].data, self->outputs[OUT].size);
    if (rc == MP_OK)
        rc = mp_call_write(call, self->outputs[ERR].data, self->outputs[ERR].size);
    if (self->too_large || rc != MP_OK)
        return mp_call_fail(call, MP_ETOOLARGE, "%s wrote more than %u bytes, so it was killed",
                            self->argv[0], MP_VALUE_BYTES_MAX);
    if (self->error)
        return mp_call_fail(call, self->error == ENOENT ? 127 : 126, "%s: %s", self->argv[0],
                            strerror(self->error));
    if (WIFSIGNALED(status))
        return mp_call_fail(call, 128 + WTERMSIG(status), "killed by signal %d (%s)",
                            WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status))
        return mp_call_fail(call, WEXITSTATUS(status), "exit status %d", WEXITSTATUS(status));
    return MP_OK;
}

void mpx_exec_said(mp_bytes_t value, char *out, size_t room)
{
    const char *bytes = value.data;
    size_t from = value.size < 4 ? value.size : 4 + (size_t)mpx_load_u32(value.data);
    size_t size = from < value.size ? value.size - from : 0;
    size = size < room ? size : room - 1;
    for (size_t i = 0; i < size; i++) { /* what is behind a NUL would be lost */
        char byte = bytes[value.size - size + i];
        out[i] = byte ? byte : '?';
    }
    out[size] = '\0';
}

static int exec_run(mp_call_t *call, mp_bytes_t in, void *out)
{
    (void)out;
    command_t self = {.pidfd = -1,
                      .outputs = {{.max = MP_VALUE_BYTES_MAX + READ_BYTES},
                                  {.max = MP_VALUE_BYTES_MAX + READ_BYTES}}};
    self.argv = parse(in);
    if (!self.argv)
        return mp_call_fail(call, MP_EINVAL, "the input of mp.exec is malformed");
    int rc = start(&self);
    if (rc != 0) {
        close_all(self.fds);
        rc = mp_call_fail(call, 126, "%s could not be started: %s", self.argv[0], strerror(rc));
    } else {
        listen_to(&self);
        rc = report(call, &self, end(&self));
    }
    mpx_buf_free(&self.outputs[OUT]);
    mpx_buf_free(&self.outputs[ERR]);
    free(self.argv);
    return rc;
}

const mp_task_t mpx_exec_task = {
    .name = MPX_EXEC_NAME, .in = MP_RECORD_BYTES, .out = MP_RECORD_BYTES, .run = exec_run};
