#include "output.h"

#include "exits.h"

#include "text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* KEPT_BYTES: a buffer that had to become larger is given back once it is written. */
enum { ROOM_BYTES = 8 * 1024, KEPT_BYTES = 1024 * 1024 };

void output_init(output_t *self, int fd, int interrupt_fd)
{
    struct stat status;
    bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    *self =
        (output_t){.fd = fd, .interrupt_fd = interrupt_fd, .piece = is_file ? SSIZE_MAX : PIPE_BUF};
}

void output_free(output_t *self)
{
    free(self->buffer);
    self->buffer = NULL;
    self->size = self->room = 0;
}

static bool make_room(output_t *self, size_t size)
{
    if (self->error)
        return false;
    if (size <= self->room - self->size)
        return true;
    size_t room = (self->size + size) * 2 + ROOM_BYTES;
    char *buffer = realloc(self->buffer, room);
    if (!buffer) {
        self->error = ENOMEM;
        return false;
    }
    self->buffer = buffer;
    self->room = room;
    return true;
}

void output_add(output_t *self, const void *bytes, size_t size)
{
    if (size == 0 || !make_room(self, size))
        return;
    memcpy(self->buffer + self->size, bytes, size);
    self->size += size;
}

void output_text(output_t *self, const char *text)
{
    output_add(self, text, strlen(text));
}

void output_printf(output_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !make_room(self, (size_t)size + 1))
        return;
    va_start(args, format);
    vsnprintf(self->buffer + self->size, (size_t)size + 1, format, args);
    va_end(args);
    self->size += (size_t)size;
}

void output_json(output_t *self, const void *bytes, size_t size)
{
    const unsigned char *s = bytes;
    output_text(self, "\"");
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8(s + i, size - i);
        if (length == 0) {
            output_text(self, "\\ufffd");
            length = 1;
        } else if (s[i] == '"' || s[i] == '\\') {
            output_printf(self, "\\%c", s[i]);
        } else if (s[i] < 0x20 || s[i] == 0x7f) {
            output_printf(self, "\\u%04x", s[i]);
        } else {
            output_add(self, s + i, length);
        }
        i += length;
    }
    output_text(self, "\"");
}

void output_base64(output_t *self, const void *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i < 3 ? size - i : 3;
        unsigned group = (unsigned)s[i] << 16;
        group |= left > 1 ? (unsigned)s[i + 1] << 8 : 0;
        group |= left > 2 ? s[i + 2] : 0;
        char quad[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        output_add(self, quad, sizeof quad);
    }
}

/* errno, or 0 when a write won't have to wait. */
static int wait_for_reader(const output_t *self)
{
    struct pollfd fds[2] = {{.fd = self->fd, .events = POLLOUT},
                            {.fd = self->interrupt_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return errno;
    return fds[0].revents ? 0 : EINTR;
}

bool output_flush(output_t *self)
{
    size_t done = 0;
    while (done < self->size && !self->error) {
        size_t left = self->size - done;
        self->error = wait_for_reader(self);
        if (self->error)
            break;
        ssize_t n = write(self->fd, self->buffer + done, left < self->piece ? left : self->piece);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            self->error = errno;
        if (n > 0)
            done += (size_t)n;
    }
    self->size = 0;
    if (self->room > KEPT_BYTES)
        output_free(self);
    return self->error == 0;
}

int output_end(output_t *self, const char *command)
{
    if (output_flush(self))
        return EXIT_SUCCESS;
    fprintf(stderr, "mp %s: stdout: %s\n", command, strerror(self->error));
    return EXIT_OUTPUT;
}
