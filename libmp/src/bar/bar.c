#include <mp/progress.h>

#include "clock.h"
#include "fault.h"
#include "line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mp_bar {
    int fd;
    bool on;
    bool shown; /* there is a line to erase */
    int64_t started;
    int64_t drawn;
    mp_progress_t last;
    char label[];
};

/* Most of a label that leaves room for the numbers. */
enum { EVERY_MS = 100, LABEL_MAX = 60 };

static bool is_watched(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

mp_rc_t mp_bar_new(const mp_bar_options_t *options, mp_bar_t **out)
{
    static const mp_bar_options_t defaults = {0};
    if (!options)
        options = &defaults;
    size_t label_size = options->label ? strnlen(options->label, LABEL_MAX) : 0;
    mp_bar_t *self = calloc(1, sizeof *self + label_size + 1);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a progress bar");
    if (label_size)
        memcpy(self->label, options->label, label_size);
    self->fd = options->fd > 0 ? options->fd : STDERR_FILENO;
    self->on = options->always || is_watched(self->fd);
    self->started = mpx_now();
    *out = self;
    return MP_OK;
}

static void put(const mp_bar_t *self, const char *text)
{
    (void)!write(self->fd, text, strlen(text));
}

static void draw(mp_bar_t *self, int64_t now)
{
    char text[MPX_BAR_LINE_MAX + 8] = "\r\033[K";
    size_t used = strlen(text);
    mpx_bar_line_t line = {
        .label = self->label, .progress = self->last, .elapsed_ns = now - self->started};
    mpx_bar_line(&line, text + used, MPX_BAR_LINE_MAX);
    put(self, text);
    self->shown = true;
    self->drawn = now;
}

static bool is_over(const mp_progress_t *progress)
{
    return progress->total && progress->done >= progress->total;
}

void mp_bar_update(mp_bar_t *self, const mp_progress_t *progress)
{
    int64_t now = mpx_now();
    bool news = memcmp(&self->last, progress, sizeof *progress) != 0;
    self->last = *progress;
    bool due = now - self->drawn >= EVERY_MS * MPX_MS || (is_over(progress) && news);
    if (self->on && due)
        draw(self, now);
}

void mp_bar_show(void *arg, const mp_progress_t *progress)
{
    mp_bar_update(arg, progress);
}

void mp_bar_erase(mp_bar_t *self)
{
    if (self->shown)
        put(self, "\r\033[K");
    self->shown = false;
    self->drawn = 0;
}

void mp_bar_destroy(mp_bar_t **self_p)
{
    mp_bar_t *self = *self_p;
    if (!self)
        return;
    if (self->shown) {
        draw(self, mpx_now());
        put(self, "\n");
    }
    free(self);
    *self_p = NULL;
}
