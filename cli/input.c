#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 65536 };

bool input_init(input_t *self, int fd)
{
    *self = (input_t){.fd = fd, .room = 2 * READ_BYTES};
    self->buffer = malloc(self->room);
    return self->buffer != NULL;
}

void input_free(input_t *self)
{
    free(self->buffer);
    self->buffer = NULL;
}

/* Make room for a read behind what is there. A line is never longer than the buffer may
 * grow: input_next takes too long ones away. */
static bool make_room(input_t *self)
{
    if (self->start > 0) {
        memmove(self->buffer, self->buffer + self->start, self->end - self->start);
        self->end -= self->start;
        self->searched -= self->start;
        self->start = 0;
    }
    if (self->room - self->end >= READ_BYTES)
        return true;
    char *buffer = realloc(self->buffer, self->room * 2);
    if (!buffer)
        return false;
    self->buffer = buffer;
    self->room *= 2;
    return true;
}

void input_fill(input_t *self)
{
    if (!make_room(self)) {
        self->error = ENOMEM;
        self->ended = true;
        return;
    }
    ssize_t n = read(self->fd, self->buffer + self->end, READ_BYTES);
    if (n > 0) {
        self->end += (size_t)n;
        return;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    self->error = n < 0 ? errno : 0;
    self->ended = true;
}

static void take(input_t *self, size_t size, input_line_t *out)
{
    *out = (input_line_t){.text = self->buffer + self->start, .size = size};
    self->start += size;
    self->searched = self->start;
}

bool input_next(input_t *self, input_line_t *out)
{
    for (;;) {
        const char *from = self->buffer + self->searched;
        const char *newline = memchr(from, '\n', self->end - self->searched);
        size_t size = (newline ? (size_t)(newline - self->buffer) : self->end) - self->start;
        bool whole = newline || (self->ended && !self->error && size > 0);
        self->searched = newline ? self->searched : self->end;
        if (self->skipping) {
            self->start += size + (newline != NULL);
            self->searched = self->start;
            self->skipping = !newline;
            if (!newline)
                return false;
            continue;
        }
        if (size > INPUT_LINE_MAX) {
            take(self, INPUT_LINE_MAX, out);
            out->too_long = true;
            self->skipping = true;
            return true;
        }
        if (!whole)
            return false;
        take(self, size, out);
        self->start += newline != NULL;
        self->searched = self->start;
        return true;
    }
}

bool input_done(const input_t *self)
{
    return self->ended && (self->start == self->end || self->error);
}

uint64_t input_count(int fd)
{
    enum { COUNTED_BYTES_MAX = 1 << 30 };
    struct stat status;
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size - at > COUNTED_BYTES_MAX)
        return 0;
    char buffer[READ_BYTES];
    char last = '\n';
    uint64_t count = 0;
    ssize_t n;
    while ((n = pread(fd, buffer, sizeof buffer, at)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            count += buffer[i] == '\n';
        last = buffer[n - 1];
        at += n;
    }
    return count + (last != '\n');
}
