/* progress.h: one line on a terminal that says how far it is. */
#ifndef MP_CLI_PROGRESS_H
#define MP_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    bool on;
    bool shown;         /* there is a line to erase */
    int64_t started_ms; /* monotonic */
    int64_t drawn_ms;
    uint64_t done_before; /* by earlier runs */
} progress_t;

enum { PROGRESS_EVERY_MS = 100 };

void progress_init(progress_t *self, bool on);
/* Draw, if it is time to. total: 0 when it isn't known yet. */
void progress_draw(progress_t *self, uint64_t done, uint64_t failed, uint64_t total);
/* Make way for other output on stderr. */
void progress_erase(progress_t *self);

#endif
