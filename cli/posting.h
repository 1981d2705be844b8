/* posting.h: the process that runs the workers of one place, and what they say.
 *
 * mp-worker prints "ready URL" when a broker has let it in; Slurm puts the task's number before it.
 * Nothing here blocks. The process has a session of its own: a terminal's signals are for the
 * launcher alone, which tells it what to do.
 */
#ifndef MP_CLI_POSTING_H
#define MP_CLI_POSTING_H

#include "place.h"

#include <stddef.h>
#include <sys/types.h>

typedef struct posting_stream {
    int fd; /* -1: at its end */
    size_t size;
    char bytes[1024]; /* of a line that isn't there as a whole; a longer one is cut */
} posting_stream_t;

typedef struct posting {
    place_t place;
    pid_t pid;
    int pidfd; /* -1: it isn't running */
    int in;    /* signals, as lines; -1: closed */
    posting_stream_t out, err;
    int ready;      /* workers that are up, or were */
    int status;     /* once it has ended, as of wait(2) */
    char last[256]; /* what it has said last on its standard error */
} posting_t;

/* Run it. false: the system refused, see errno. */
bool posting_start(posting_t *self, char **argv);
/* Kills what still runs, at once. */
void posting_free(posting_t *self);

/* Take what there is to read. Lines of errors are passed on to our standard error, with the place
 * before them. Returns how many workers have come up by it. */
int posting_read(posting_t *self);
/* false: it still runs. Else status says how it ended, and all that it said is read. */
bool posting_has_ended(posting_t *self);
/* Send its workers a signal, by name. */
void posting_signal(posting_t *self, const char *name);

#endif
