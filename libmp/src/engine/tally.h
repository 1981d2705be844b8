/* tally.h: what has become of calls, by task. */
#ifndef MPX_TALLY_H
#define MPX_TALLY_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_tally {
    uint64_t ok;
    uint64_t failed;
    uint64_t crashed;
    uint64_t timed_out;
    uint64_t cancelled;
    uint64_t other;
    int64_t busy_ns;
    int64_t service_ns; /* of a task: about what a call took in the latest jobs; 0: unknown */
} mpx_tally_t;

/* n more calls ended with rc, and took so long together. */
void mpx_tally_count(mpx_tally_t *self, mp_rc_t rc, uint32_t n, int64_t busy_ns);

/* A call of a job that ended took so long (0: it isn't known). What disturbs a processor makes
 * calls longer, never shorter: so what is lower counts at once, and what is higher by and by. */
void mpx_tally_learn(mpx_tally_t *self, int64_t service_ns);

/* Those of tasks, by name, in the order of their coming. Never forgotten, so there are not more
 * than 1024: others aren't counted. */
typedef struct mpx_tallies mpx_tallies_t;

/* That of a task, which may be new; it stays where it is. NULL: not counted, or no memory. */
mpx_tally_t *mpx_tallies_of(mpx_tallies_t **self, const char *task);
/* The number'th; false: there are fewer. */
bool mpx_tallies_at(const mpx_tallies_t *self, size_t number, const char **name, mpx_tally_t *out);
void mpx_tallies_free(mpx_tallies_t **self);

#endif
