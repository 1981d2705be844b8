/* report.h: what a user sees of an outcome: results on stdout, failures on stderr. */
#ifndef MP_CLI_REPORT_H
#define MP_CLI_REPORT_H

#include "output.h"
#include <mp/pool.h>
#include <stdint.h>

typedef struct report {
    output_t out;
    output_t err;
    bool json;
    bool commands; /* values are mp.exec's */
    int timeout_ms;
} report_t;

/* One outcome of the line `number` (from 1). */
void report_outcome(report_t *self, uint64_t number, const char *line, size_t size,
                    const mp_outcome_t *outcome);

/* "ok", "failed", "crashed", "timed-out", "cancelled", "lost" or "rejected". */
const char *report_status(mp_rc_t rc);

#endif
