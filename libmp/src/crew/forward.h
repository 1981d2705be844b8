/* forward.h: what a call writes to stdout and stderr, on its way to whoever wants it.
 *
 *     executor --pipes--> nursery --control socket--> crew --OUTPUT--> ...
 *
 * The nursery passes it on while the call runs, and what is left of it after a crash. Before the
 * call's result is sent all of it has been passed on. What is over the call's limit is read and
 * thrown away, so a flood costs nobody but its own call.
 */
#ifndef MPX_FORWARD_H
#define MPX_FORWARD_H

#include "words.h"

/* The executor's side. */
typedef struct mpx_forward {
    mpx_words_t *words;
    int pipe;  /* becomes its stdout, for a call */
    int saved; /* what its stdout is else; -1: it is that */
} mpx_forward_t;

/* A call begins whose output is wanted, up to so many bytes. */
void mpx_forward_begin(mpx_forward_t *self, uint64_t chunk, uint64_t index, uint64_t bytes);
/* It is over. Returns how many bytes were thrown away. */
uint64_t mpx_forward_end(mpx_forward_t *self);

#endif
