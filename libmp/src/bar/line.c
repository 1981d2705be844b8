#include "line.h"

#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GRAPH_WIDTH = 20, HOURS_MAX = 99 };

/* Text that grows as far as there is room. */
typedef struct text {
    char *at;
    size_t size;
    size_t used;
} text_t;

static void add(text_t *self, const char *format, ...) MP_PRINTF(2, 3);

static void add(text_t *self, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(self->at + self->used, self->size - self->used, format, args);
    va_end(args);
    self->used += n < 0 ? 0 : (size_t)n;
    if (self->used >= self->size)
        self->used = self->size - 1;
}

static void add_share(text_t *out, size_t done, size_t total)
{
    char graph[GRAPH_WIDTH + 1];
    size_t full = (size_t)((double)done / (double)total * GRAPH_WIDTH);
    for (size_t i = 0; i < GRAPH_WIDTH; i++)
        graph[i] = i < full ? '#' : '-';
    graph[GRAPH_WIDTH] = '\0';
    add(out, "%zu/%zu  %d%%  %s", done, total, (int)((double)done / (double)total * 100), graph);
}

static void add_rate(text_t *out, double rate)
{
    if (rate >= 1e6)
        add(out, "  %.1fM/s", rate / 1e6);
    else if (rate >= 1e3)
        add(out, "  %.1fk/s", rate / 1e3);
    else
        add(out, "  %.1f/s", rate);
}

static void add_time_left(text_t *out, double seconds)
{
    const double most = HOURS_MAX * 3600.0 + 3599;
    long left = seconds < most ? (long)(seconds + 0.5) : (long)most;
    if (left >= 3600)
        add(out, "  ETA %ld:%02ld:%02ld", left / 3600, left / 60 % 60, left % 60);
    else
        add(out, "  ETA %ld:%02ld", left / 60, left % 60);
}

void mpx_bar_line(const mpx_bar_line_t *self, char *out, size_t size)
{
    text_t text = {.at = out, .size = size};
    size_t done = self->progress.done;
    size_t total = self->progress.total;
    double seconds = (double)self->elapsed_ns / (double)MPX_S;
    size_t ran = done > self->progress.skipped ? done - self->progress.skipped : 0;
    double rate = seconds > 0 ? (double)ran / seconds : 0;
    if (*self->label)
        add(&text, "%s  ", self->label);
    if (total && done <= total)
        add_share(&text, done, total);
    else
        add(&text, "%zu/?", done);
    add_rate(&text, rate);
    if (total > done && rate > 0)
        add_time_left(&text, (double)(total - done) / rate);
    if (self->progress.failed)
        add(&text, "  %zu failed", self->progress.failed);
}
