#include "overheard.h"

#include "text.h"

#include <string.h>

enum { SHOWN_MAX = 20000 }; /* a piece of 4 KiB with all of it escaped, and more */

static void label(output_t *err, uint64_t number, const mp_output_t *heard)
{
    static const char *const names[] = {
        [MP_NO_STREAM] = "", [MP_STDOUT] = " out", [MP_STDERR] = " err"};
    output_printf(err, "[%llu %s:%d%s] ", (unsigned long long)number, heard->host, heard->pid,
                  names[heard->stream]);
}

void overheard_end(overheard_t *self, output_t *err)
{
    if (self->open)
        output_text(err, "\n");
    self->open = false;
}

static bool goes_on(const overheard_t *self, uint64_t number, const mp_output_t *heard)
{
    return self->open && self->number == number && self->pid == heard->pid &&
           self->stream == heard->stream;
}

static void add_line(overheard_t *self, output_t *err, uint64_t number, const mp_output_t *heard,
                     const char *text, size_t size)
{
    char shown[SHOWN_MAX];
    if (!goes_on(self, number, heard)) {
        overheard_end(self, err);
        label(err, number, heard);
    }
    text_show(text, size, shown, sizeof shown);
    output_text(err, shown);
    *self =
        (overheard_t){.open = true, .number = number, .pid = heard->pid, .stream = heard->stream};
}

void overheard_add(overheard_t *self, output_t *err, uint64_t number, const mp_output_t *heard)
{
    const char *at = heard->bytes.data;
    size_t left = heard->bytes.size;
    if (heard->lost_bytes) {
        overheard_end(self, err);
        label(err, number, heard);
        output_printf(err, "... %llu bytes left out\n", (unsigned long long)heard->lost_bytes);
    }
    while (left) {
        const char *newline = memchr(at, '\n', left);
        size_t size = newline ? (size_t)(newline - at) : left;
        add_line(self, err, number, heard, at, size);
        if (!newline)
            return;
        overheard_end(self, err);
        at = newline + 1;
        left -= size + 1;
    }
}
