/* log.h: one line for each thing that happens, on stderr:
 *
 *     ts=2026-11-23T08:00:00.123Z level=info event=worker_joined worker=host:12
 *
 * Peers can cause events without end, so each is limited to MPX_LOG_RATE lines a second;
 * how many were left out is said before its next line. */
#ifndef MPX_LOG_H
#define MPX_LOG_H

#include <mp/error.h>
#include <mp/worker.h>
#include <stdint.h>

#define MPX_LOG_RATE   20
#define MPX_LOG_EVENTS 32

typedef struct mpx_log_rate {
    const char *event; /* a literal: compared by its address */
    int64_t second;
    unsigned lines;
    unsigned left_out;
} mpx_log_rate_t;

typedef struct mpx_log {
    mp_log_level_t level; /* lines above it are dropped */
    int fd;
    mpx_log_rate_t rates[MPX_LOG_EVENTS];
} mpx_log_t;

void mpx_log_init(mpx_log_t *self, mp_log_level_t level, int fd);

/* "error", "warning", "info", "debug". MP_OK; MP_EINVAL. */
mp_rc_t mpx_log_level_of(const char *name, mp_log_level_t *out);

/* Pairs of key and value follow the event, then NULL. Values are quoted where they must be;
 * control characters in them and bytes that are no UTF-8 become '?', so that a line stays
 * one, and long values are cut. One write(2). */
void mpx_log(mpx_log_t *self, mp_log_level_t level, const char *event, ...)
    __attribute__((sentinel));

#endif
