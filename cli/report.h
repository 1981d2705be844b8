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
    bool remote;   /* failures say where they were */
    int timeout_ms;
} report_t;

/* How a call ended, in the words and numbers of --json and of the job log. */
typedef struct ending {
    const char
        *status; /* "ok", "failed", "crashed", "timed-out", "cancelled", "lost", "rejected" */
    int exit;    /* of the command, of the task, or of a worker that ended itself */
    int signal;  /* that ended the command or the worker; 0: none did */
} ending_t;

ending_t report_ending(const report_t *self, const mp_outcome_t *outcome);

/* One outcome of the line `number` (from 1). */
void report_outcome(report_t *self, uint64_t number, const char *line, size_t size,
                    const mp_outcome_t *outcome);

#endif
