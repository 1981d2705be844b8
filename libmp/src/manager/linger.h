/* linger.h: whether to look for an answer for a while, before who waits for it sleeps.
 *
 * An answer often comes sooner than a sleep would take; where it doesn't, that is learnt. Now and
 * then it is tried for longer, ever more rarely: once an answer has come, the manager is awake for
 * the next question.
 */
#ifndef MPX_LINGER_H
#define MPX_LINGER_H

#include <stdbool.h>
#include <stdint.h>

/* How long a manager looks at a client that it has just heard, and a client for an answer, before
 * they sleep. A conversation of questions and answers then needs no wake-ups. */
enum { MPX_LINGER_US = 20 };

/* All zero at first. */
typedef struct mpx_linger {
    int worth; /* by how it went lately; < 0: it isn't */
    bool probes;
    int probe_each, until_probe; /* so many answers that aren't lingered for */
} mpx_linger_t;

/* For how long, for the next answer; 0: not at all. */
int64_t mpx_linger_us(mpx_linger_t *self);
/* It was lingered, and the answer came meanwhile, or didn't. */
void mpx_linger_learn(mpx_linger_t *self, bool came);

#endif
