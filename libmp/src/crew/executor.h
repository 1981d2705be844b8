/* executor.h: a process that runs calls, one at a time, at the end of a lane. */
#ifndef MPX_EXECUTOR_H
#define MPX_EXECUTOR_H

#include "crew.h"
#include "words.h"

/* Exit statuses that are no task's doing. */
enum {
    MPX_EXECUTOR_UNARMED = 120, /* its life can't be tied to the nursery's */
    MPX_EXECUTOR_NO_LANE = 121
};

/* fds: see MPX_NURSERY_FDS. Open the modules, say HELLO and serve until the owner is gone. Never
 * returns.
 *
 * Every finished call is in the lane before the next one begins, so that a crash costs one
 * call. The owner is woken when there is nothing left to do, or when a result has waited for
 * some time, or at once if the job has a time limit that the owner must watch.
 *
 * output: the pipe that becomes the stdout of calls whose output is wanted. Their RESULTs say so by
 * header.bytes: the owner is to take first what the nursery has of it. */
void mpx_executor_run(const int fds[4], const mpx_crew_options_t *options, mpx_words_t *words,
                      int output) __attribute__((noreturn));

#endif
