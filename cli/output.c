#include "output.h"

#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

bool output_init(output_t *self, int fd)
{
    *self = (output_t){.fd = fd, .buffer = malloc(BUFFER_BYTES)};
    return self->buffer != NULL;
}

void output_free(output_t *self)
{
    free(self->buffer);
    self->buffer = NULL;
}

static void write_all(output_t *self, const char *bytes, size_t size)
{
    while (size > 0 && !self->error) {
        ssize_t n = write(self->fd, bytes, size);
        if (n < 0 && errno != EINTR)
            self->error = errno;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
}

bool output_flush(output_t *self)
{
    write_all(self, self->buffer, self->size);
    self->size = 0;
    return self->error == 0;
}

void output_add(output_t *self, const void *bytes, size_t size)
{
    if (size > BUFFER_BYTES - self->size)
        output_flush(self);
    if (size > BUFFER_BYTES) {
        write_all(self, bytes, size);
        return;
    }
    if (size)
        memcpy(self->buffer + self->size, bytes, size);
    self->size += size;
}

void output_text(output_t *self, const char *text)
{
    output_add(self, text, strlen(text));
}

void output_printf(output_t *self, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    output_text(self, text);
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
