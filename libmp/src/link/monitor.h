/* monitor.h: what libzmq tells about a socket's connections.
 *
 * A monitor whose reader is slow or gone blocks libzmq's I/O thread, and with it the whole
 * context: it has no bound, is read often, and stopped before its reader is closed. */
#ifndef MPX_MONITOR_H
#define MPX_MONITOR_H

#include <mp/error.h>
#include <stdbool.h>

typedef enum mpx_monitor_kind {
    MPX_MONITOR_CONNECTED, /* fd: the connection's */
    MPX_MONITOR_ACCEPTED,  /* the same, of a hub */
    MPX_MONITOR_GREETED,   /* the ZeroMQ handshake is done */
    MPX_MONITOR_GONE,      /* fd: the connection's; or it could not be made */
    MPX_MONITOR_PUT_OFF,   /* a dial would try again; where it is the first news it had nothing to
                              try with: no address for its host's name */
    MPX_MONITOR_FOREIGN,   /* the handshake failed: the other side is no ZeroMQ peer of ours */
    MPX_MONITOR_MISMATCH,  /* the same: one side has keys, and the other hasn't */
    MPX_MONITOR_REFUSED,   /* the same: a key isn't admitted */
    MPX_MONITOR_OTHER
} mpx_monitor_kind_t;

typedef struct mpx_monitor_event {
    mpx_monitor_kind_t kind;
    int fd; /* of the first three and GONE; there it may be an errno, or -1 */
} mpx_monitor_event_t;

/* Watch a socket of the context; *reader is the PAIR socket to read from. Call it before
 * the socket is bound or connected. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_monitor_start(void *context, void *socket, void **reader);
void mpx_monitor_stop(void *socket, void **reader);
/* false: nothing there now. */
bool mpx_monitor_next(void *reader, mpx_monitor_event_t *out);

#endif
