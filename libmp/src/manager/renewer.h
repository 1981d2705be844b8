/* renewer.h: the thread that shows managers that this process lives, while its own threads do
 * something else. It is started with the first line to a manager, and wakes a few times in a lease.
 * A forked child has none until it needs one of its own.
 */
#ifndef MPX_RENEWER_H
#define MPX_RENEWER_H

#include <mp/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mpx_renewal {
    void (*renew)(void *arg); /* by the renewer's thread */
    void *arg;
    _Atomic int64_t every_ns;
    bool listed;
    struct mpx_renewal *prev, *next;
} mpx_renewal_t;

/* From here on, often until the lease is known. No lock that `renew` takes may be held.
 * MP_OK; MP_ESYSTEM no thread. */
mp_rc_t mpx_renewer_watch(mpx_renewal_t *renewal);
/* The lease is known. Any lock may be held. */
void mpx_renewer_hurry(mpx_renewal_t *renewal, uint32_t lease_ms);
/* When this returns it isn't called any more. Harmless if it isn't watched. */
void mpx_renewer_forget(mpx_renewal_t *renewal);

#endif
