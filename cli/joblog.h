/* joblog.h: a line for each call that is over, so that a job can be taken up again.
 *
 * Tab-separated, below a header: line, finished (ms since 1970), status, exit, signal,
 * attempt, host, hash of the input, input. A call's line is written after its result: who
 * dies in between repeats it, and loses nothing. A last line that is torn is ignored. Where
 * a line was run more than once, the last time counts. */
#ifndef MP_CLI_JOBLOG_H
#define MP_CLI_JOBLOG_H

#include "output.h"
#include "report.h"
#include <mp/pool.h>
#include <stdint.h>

typedef struct joblog_done joblog_done_t;

typedef struct joblog {
    output_t out;        /* fd -1: there is no log. Flushed by the caller */
    joblog_done_t *done; /* what earlier runs ended well */
} joblog_t;

/* Open for appending; with resume read first what is there. false: errno says why; EBADMSG: the
 * file has something, and that is no log. */
bool joblog_open(joblog_t *self, const char *path, bool resume);
void joblog_close(joblog_t *self);

/* Whether an earlier run ended this line well. */
bool joblog_has(const joblog_t *self, uint64_t number, const char *line, size_t size);
void joblog_add(joblog_t *self, uint64_t number, const char *line, size_t size,
                const mp_outcome_t *outcome, ending_t ending);

#endif
