/* exits.h: the exit statuses of mp, as mp(1) documents them. */
#ifndef MP_CLI_EXITS_H
#define MP_CLI_EXITS_H

#include <stdlib.h> /* EXIT_SUCCESS */

enum {
    EXIT_FAILED = 1, /* some calls failed, or the broker does not answer */
    EXIT_USAGE = 2,
    EXIT_UNABLE = 3,  /* nothing could be run: no broker, no such task, a broken module */
    EXIT_OUTPUT = 4,  /* the results or the job log could not be written */
    EXIT_SIGNAL = 128 /* plus the signal's number */
};

#endif
