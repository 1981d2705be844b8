/* line.h: the text of a progress bar. Pure. */
#ifndef MPX_BAR_LINE_H
#define MPX_BAR_LINE_H

#include <mp/progress.h>
#include <stdint.h>

typedef struct mpx_bar_line {
    const char *label; /* or "" */
    mp_progress_t progress;
    int64_t elapsed_ns;
} mpx_bar_line_t;

enum { MPX_BAR_LINE_MAX = 256 };

/* "label  412/1000  41%  ########------------  1.3k/s  ETA 0:07  3 failed", cut at the size. */
void mpx_bar_line(const mpx_bar_line_t *self, char *out, size_t size);

#endif
