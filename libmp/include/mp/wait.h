/* wait.h: wait for several things at once.
 *
 *     mp_waitable_t things[] = {{.process = child}, {.fd = STDIN_FILENO}};
 *     if (mp_wait(things, 2, 1000, NULL) == MP_OK && things[0].ready)
 *         mp_process_join(child, 0);
 */
#ifndef MP_WAIT_H
#define MP_WAIT_H

#include <mp/error.h>
#include <mp/process.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mp_waitable {
    mp_process_t *process; /* ready once it has ended; NULL: */
    int fd;                /* ready when a read wouldn't wait: bytes, end, or an error */
    bool ready;            /* out */
} mp_waitable_t;

/* Wait until one at least is ready, and mark all that are; nothing is read, and no process is
 * reaped. Of none: sleeps for the timeout.
 * count       at most 65536
 * timeout_ms  0: look, -1: for ever
 * ready       how many are; may be NULL
 * MP_OK; MP_ETIMEDOUT none is, also of none; MP_EINVAL a descriptor that isn't open, or too many;
 * MP_ESTATE a process that was not started; MP_ENOMEM; MP_ESYSTEM. In a forked child, a process
 * of the parent is waited for as well. */
MP_API mp_rc_t mp_wait(mp_waitable_t *things, size_t count, int timeout_ms, size_t *ready);

#ifdef __cplusplus
}
#endif

#endif
