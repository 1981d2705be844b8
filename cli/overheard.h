/* overheard.h: what tasks write while they run, for people: line by line, each with where it is
 * from.
 *
 *     [3 web-1:4711 out] half way
 */
#ifndef MP_CLI_OVERHEARD_H
#define MP_CLI_OVERHEARD_H

#include "output.h"

#include <mp/pool.h>

/* All zero: nothing was heard. */
typedef struct overheard {
    bool open; /* the last line has not ended yet, and is of: */
    uint64_t number;
    int pid;
    mp_stream_t stream;
} overheard_t;

/* number: of the input line that the call is for */
void overheard_add(overheard_t *self, output_t *err, uint64_t number, const mp_output_t *heard);
/* Something else is about to be written. */
void overheard_end(overheard_t *self, output_t *err);

#endif
