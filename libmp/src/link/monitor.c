#include "monitor.h"

#include "fault.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum {
    EVENTS = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
             ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
             ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
    REFUSED = 400 /* ZAP's word for it */
};

static mpx_monitor_kind_t kind_of(uint16_t event, int32_t value)
{
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        return MPX_MONITOR_CONNECTED;
    case ZMQ_EVENT_ACCEPTED:
        return MPX_MONITOR_ACCEPTED;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return MPX_MONITOR_GREETED;
    case ZMQ_EVENT_DISCONNECTED:
    case ZMQ_EVENT_CLOSED:
        return MPX_MONITOR_GONE;
    case ZMQ_EVENT_CONNECT_RETRIED:
        return MPX_MONITOR_PUT_OFF;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return MPX_MONITOR_FOREIGN;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ? MPX_MONITOR_MISMATCH
                                                                   : MPX_MONITOR_FOREIGN;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return value == REFUSED ? MPX_MONITOR_REFUSED : MPX_MONITOR_FOREIGN;
    default:
        return MPX_MONITOR_OTHER;
    }
}

bool mpx_monitor_next(void *reader, mpx_monitor_event_t *out)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, reader, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&frame);
        return false;
    }
    uint16_t event = 0;
    int32_t value = -1;
    if (zmq_msg_size(&frame) == sizeof event + sizeof value) {
        const char *data = zmq_msg_data(&frame);
        memcpy(&event, data, sizeof event);
        memcpy(&value, data + sizeof event, sizeof value);
    }
    while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, reader, ZMQ_DONTWAIT) >= 0)
        ; /* the address, which we know */
    zmq_msg_close(&frame);
    *out = (mpx_monitor_event_t){.kind = kind_of(event, value), .fd = value};
    return true;
}

mp_rc_t mpx_monitor_start(void *context, void *socket, void **reader)
{
    static atomic_ulong count; /* the same inproc name twice would hang */
    char name[64];
    snprintf(name, sizeof name, "inproc://mp-monitor-%lu", atomic_fetch_add(&count, 1));
    void *pair = zmq_socket(context, ZMQ_PAIR);
    int zero = 0;
    if (!pair)
        return mpx_fault_errno("a monitor");
    zmq_setsockopt(pair, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(pair, ZMQ_RCVHWM, &zero, sizeof zero);
    if (zmq_socket_monitor(socket, name, EVENTS) != 0 || zmq_connect(pair, name) != 0) {
        mp_rc_t rc = mpx_fault_errno("a monitor");
        zmq_close(pair);
        return rc;
    }
    *reader = pair;
    /* libzmq wakes a reader that has found it empty, and no other. */
    mpx_monitor_event_t none;
    (void)mpx_monitor_next(pair, &none);
    return MP_OK;
}

void mpx_monitor_stop(void *socket, void **reader)
{
    if (!*reader)
        return;
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(*reader);
    *reader = NULL;
}
