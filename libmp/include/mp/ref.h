/* ref.h: a handle as plain data.
 *
 * Locks, events, values and the like live in memory that processes share. A handle made
 * before a fork works in the child as it is. To any other process of this host (one that
 * was spawned, or came from the fork server) it goes as a reference: bytes that fit into
 * any struct, from which that process opens a handle of its own:
 *
 *     typedef struct job { mp_ref_t lock; int number; } job_t;
 *     mp_lock_ref(lock, &job.lock);              here
 *     mp_lock_open(&job->lock, &lock);           there
 *
 * A reference can be opened by processes of the same user, in the same process namespace,
 * until its object is destroyed or the process that made the reference ends; what was opened
 * stays usable after that. Opening anything else fails and does no harm.
 */
#ifndef MP_REF_H
#define MP_REF_H

#include <stdint.h>

typedef struct mp_ref {
    uint64_t word[6];
} mp_ref_t;

#endif
