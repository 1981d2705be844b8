/* wait.h: wait for several things at once.
 *
 *     mp_waitable_t things[] = {{.process = child}, {.connection = pipe}, {.fd = STDIN_FILENO}};
 *     if (mp_wait(things, 3, 1000, NULL) == MP_OK && things[1].ready)
 *         mp_connection_recv_bytes_into(pipe, text, sizeof text, &size, 0);
 */
#ifndef MP_WAIT_H
#define MP_WAIT_H

#include <mp/connection.h>
#include <mp/error.h>
#include <mp/process.h>
#include <mp/queue.h>
#include <mp/result.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thing: the first of these that isn't NULL, else the descriptor. */
typedef struct mp_waitable {
    mp_process_t *process;       /* ready once it has ended */
    mp_connection_t *connection; /* when a message has begun to come, or its end */
    mp_queue_t *queue;           /* when it has an item, which another may get first; or is lost */
    mp_listener_t *listener;     /* when somebody waits to be accepted */
    mp_result_t *result;         /* when it is ready */
    int fd;                      /* when a read wouldn't wait: bytes, end, or an error */
    bool ready;                  /* out */
} mp_waitable_t;

/* Wait until one at least is ready, and mark all that are; nothing is read or taken, and no
 * process is reaped. Of none: sleeps for the timeout. A connection or queue is waited for by one
 * thread at a time.
 * count       at most 65536
 * timeout_ms  0: look, -1: for ever
 * ready       how many are; may be NULL
 * MP_OK; MP_ETIMEDOUT none is, also of none; MP_EINVAL a descriptor that isn't open, or too many;
 * MP_ESTATE a process that was not started; the codes of a receive or get for a connection,
 * queue or listener that can't be used here; MP_EFORKED a result; MP_ENOMEM; MP_ESYSTEM. In a
 * forked child, a process of the parent is waited for as well. */
MP_API mp_rc_t mp_wait(mp_waitable_t *things, size_t count, int timeout_ms, size_t *ready);

#ifdef __cplusplus
}
#endif

#endif
