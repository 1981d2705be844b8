/* connection.h: a connection, as the files of this layer see it.
 *
 *     UNCLAIMED --first use--> OPEN --close--> CLOSED
 *        ^  |                   |
 *        |  +--(no lane)--> MEETING
 *        +-------- ref ---------+
 */
#ifndef MPX_CONNECTION_H
#define MPX_CONNECTION_H

#include "box.h"
#include "stream.h"

#include <mp/connection.h>
#include <stdatomic.h>

struct mp_connection {
    bool readable;
    bool writable;
    atomic_bool closed;
    uint64_t generation; /* of the process that has it; nobody's while it is in its box */
    int box;             /* -1: taken out, here or in the parent */
    mpx_channel_t *_Atomic channel;
    mpx_stream_t *stream;
    /* MEETING: the ends of a pipe over ZeroMQ */
    int meeting;             /* a socket to the other end; -1 */
    mp_listener_t *listener; /* of the first end */
    const char *carrier;
    bool listed;
    struct mp_connection *prev, *next; /* of those over ZeroMQ, to be closed at exit */
};

mp_connection_t *mpx_connection_make(bool readable, bool writable);
/* Over a channel, which it takes over in any case, with its stream. */
void mpx_connection_have(mp_connection_t *self, mpx_stream_t *stream, mpx_channel_t *channel);
/* The opposite: they are the caller's. */
mpx_channel_t *mpx_connection_let_go(mp_connection_t *self, mpx_stream_t **stream);

/* Have the end: MP_OK; MP_ECLOSED; MP_EBUSY; MP_ETIMEDOUT; MP_EOF; and why not. */
mp_rc_t mpx_connection_claim(mp_connection_t *self, int64_t deadline);
/* The ends of a pipe over ZeroMQ meet. MP_OK; MP_ETIMEDOUT; MP_EOF the other one is gone. */
mp_rc_t mpx_pipe_meet(mp_connection_t *self, int64_t deadline);
/* Begin to: the socket is the connection's from here on. */
mp_rc_t mpx_pipe_begin_to_meet(mp_connection_t *self, bool first, int socket);

/* For waiting for several things: whether a receive would return at once; if not, *fd. */
mp_rc_t mpx_connection_watch(mp_connection_t *self, bool *ready, int *fd);
mp_rc_t mpx_listener_watch(mp_listener_t *self, bool *ready, int *fd);

/* Free what closed listeners kept for connections that are closed by now. */
void mpx_listener_sweep(void);

/* Lend a copy of a descriptor to one who knows the ticket; closes `fd`. MP_OK; MP_ENOMEM;
 * MP_ESYSTEM. */
mp_rc_t mpx_ticket_issue(int fd, mp_ref_t *out, uint64_t flags);
/* MP_OK; MP_EINVAL; MP_ENOTFOUND; MP_ETIMEDOUT; MP_ESYSTEM. */
mp_rc_t mpx_ticket_redeem(const mp_ref_t *ref, int *fd);

#endif
