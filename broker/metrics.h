/* metrics.h: what a broker counts: what became of calls, by task, and of those who came.
 *
 * Pure: no clock, socket or thread. The engine tells of calls (mpx_metrics_watcher), the broker of
 * the rest. Tasks are never forgotten, so there is room for 256; the others are counted together.
 */
#ifndef MPX_METRICS_H
#define MPX_METRICS_H

#include "engine.h"
#include "exposition.h"

typedef struct mpx_metrics mpx_metrics_t;

typedef enum mpx_fate {
    MPX_FATE_OK,
    MPX_FATE_FAILED,
    MPX_FATE_CRASHED,
    MPX_FATE_TIMED_OUT,
    MPX_FATE_CANCELLED,
    MPX_FATE_LOST,  /* with its worker */
    MPX_FATE_OTHER, /* never given to a worker: nobody has the task, and so on */
    MPX_FATES
} mpx_fate_t;
const char *mpx_fate_name(mpx_fate_t fate);

typedef struct mpx_task_metrics {
    const char *name;
    uint64_t ended[MPX_FATES];
    uint64_t retried;     /* given with an attempt above 1 */
    mpx_histogram_t wait; /* from put to given, as the oldest call of a chunk had it */
    mpx_histogram_t run;  /* of calls that were ok or failed: the mean of those told together */
    uint64_t queued;      /* now: filled in by who looks */
    uint64_t delayed;     /* of the queued ones */
    uint64_t given;
} mpx_task_metrics_t;

/* NULL: no memory. */
mpx_metrics_t *mpx_metrics_new(void);
void mpx_metrics_free(mpx_metrics_t **self);
/* What time it is, for what follows. */
void mpx_metrics_at(mpx_metrics_t *self, int64_t now);
mpx_watcher_t mpx_metrics_watcher(mpx_metrics_t *self);

/* As mpx_keeper_options_t.committed. */
void mpx_metrics_committed(void *metrics, mp_rc_t rc, int64_t ns);
/* A peer was told to go, by that code. */
void mpx_metrics_dismissed(mpx_metrics_t *self, mp_rc_t code);
/* role: "client", "worker" or "tenant"; else it isn't counted. A connection ended without a
 * goodbye: it broke, or was silent for too long. */
void mpx_metrics_lost(mpx_metrics_t *self, const char *role);

/* The one of that name, made if need be; that of all others where there is no room. */
mpx_task_metrics_t *mpx_metrics_task(mpx_metrics_t *self, const char *name);
/* The number'th, in the order of their coming; NULL: there are fewer. */
mpx_task_metrics_t *mpx_metrics_task_at(mpx_metrics_t *self, size_t number);
uint64_t mpx_task_metrics_ended(const mpx_task_metrics_t *self); /* of any fate */
double mpx_task_metrics_mean_s(const mpx_task_metrics_t *self);  /* run time; 0: unknown */

/* All that is counted here. */
void mpx_metrics_expose(const mpx_metrics_t *self, mpx_exposition_t *out);

#endif
