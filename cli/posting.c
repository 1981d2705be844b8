#include "posting.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN, OUT, ERR, STREAMS };

/* ---- start and end -------------------------------------------------------------- */

static _Noreturn void become(char **argv, int pipes[STREAMS][2])
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)setsid();
    dup2(pipes[IN][0], STDIN_FILENO);
    dup2(pipes[OUT][1], STDOUT_FILENO);
    dup2(pipes[ERR][1], STDERR_FILENO);
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void close_pipes(int pipes[STREAMS][2])
{
    for (int i = 0; i < STREAMS; i++)
        for (int end = 0; end < 2; end++)
            if (pipes[i][end] >= 0)
                close(pipes[i][end]);
}

static bool run(posting_t *self, char **argv, int pipes[STREAMS][2])
{
    self->pid = fork();
    if (self->pid == 0)
        become(argv, pipes);
    if (self->pid < 0)
        return false;
    self->pidfd = pidfd_open(self->pid, 0);
    if (self->pidfd >= 0)
        return true;
    int error = errno;
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    errno = error;
    return false;
}

bool posting_start(posting_t *self, char **argv)
{
    int pipes[STREAMS][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    self->pidfd = self->in = self->out.fd = self->err.fd = -1;
    bool ok = true;
    for (int i = 0; i < STREAMS && ok; i++)
        ok = pipe2(pipes[i], O_CLOEXEC) == 0;
    if (!ok || !run(self, argv, pipes)) {
        int error = errno;
        close_pipes(pipes);
        errno = error;
        return false;
    }
    self->in = pipes[IN][1];
    self->out.fd = pipes[OUT][0];
    self->err.fd = pipes[ERR][0];
    pipes[IN][1] = pipes[OUT][0] = pipes[ERR][0] = -1;
    close_pipes(pipes);
    (void)fcntl(self->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(self->out.fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(self->err.fd, F_SETFL, O_NONBLOCK);
    return true;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void posting_free(posting_t *self)
{
    if (self->pidfd >= 0) {
        kill(-self->pid, SIGKILL);
        waitpid(self->pid, NULL, 0);
    }
    shut(&self->pidfd);
    shut(&self->in);
    shut(&self->out.fd);
    shut(&self->err.fd);
}

/* ---- what it says --------------------------------------------------------------- */

static bool says_ready(const char *line)
{
    const char *rest = line + strspn(line, "0123456789"); /* "3: ready …" of Slurm's task 3 */
    if (rest > line && strncmp(rest, ": ", 2) == 0)
        line = rest + 2;
    return strncmp(line, "ready ", 6) == 0;
}

static int take_line(posting_t *self, const posting_stream_t *stream, size_t size)
{
    if (stream == &self->out) {
        char line[sizeof stream->bytes + 1];
        memcpy(line, stream->bytes, size);
        line[size] = '\0';
        self->ready += says_ready(line);
        return says_ready(line);
    }
    text_show(stream->bytes, size, self->last, sizeof self->last);
    fprintf(stderr, "%s: %s\n", self->place.text, self->last);
    return 0;
}

static int take_lines(posting_t *self, posting_stream_t *stream)
{
    for (int came_up = 0;;) {
        const char *end = memchr(stream->bytes, '\n', stream->size);
        if (!end && stream->size < sizeof stream->bytes)
            return came_up;
        size_t size = end ? (size_t)(end - stream->bytes) : stream->size;
        size_t gone = end ? size + 1 : size;
        came_up += take_line(self, stream, size);
        stream->size -= gone;
        memmove(stream->bytes, stream->bytes + gone, stream->size);
    }
}

static int read_stream(posting_t *self, posting_stream_t *stream)
{
    int came_up = 0;
    while (stream->fd >= 0) {
        ssize_t n =
            read(stream->fd, stream->bytes + stream->size, sizeof stream->bytes - stream->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            if (stream->size > 0) /* a last line without an end */
                came_up += take_line(self, stream, stream->size);
            shut(&stream->fd);
            break;
        }
        stream->size += (size_t)n;
        came_up += take_lines(self, stream);
    }
    return came_up;
}

int posting_read(posting_t *self)
{
    int came_up = read_stream(self, &self->out);
    return came_up + read_stream(self, &self->err);
}

bool posting_has_ended(posting_t *self)
{
    if (self->pidfd < 0)
        return true;
    if (waitpid(self->pid, &self->status, WNOHANG) != self->pid)
        return false;
    shut(&self->pidfd);
    shut(&self->in);
    (void)posting_read(self);
    return true;
}

void posting_signal(posting_t *self, const char *name)
{
    char line[32];
    int size = snprintf(line, sizeof line, "%s\n", name);
    /* A few bytes into an empty pipe; if it has no reader any more, it is about to end. */
    if (self->in >= 0 && write(self->in, line, (size_t)size) != size)
        shut(&self->in);
}
