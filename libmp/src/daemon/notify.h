/* notify.h: telling a service manager how we are, as sd_notify(3) does.
 *
 * Who started us and wants to know has put a datagram socket into $NOTIFY_SOCKET, a path or, with
 * '@', an abstract name; else nothing here does anything. A beat says that the loop turns, as often
 * as a watchdog ($WATCHDOG_USEC) needs it; so it must be sent by that loop, and nobody else.
 *
 * NULL stands for one that nobody wants to hear.
 *
 * Each datagram has a socket of its own: none is inherited by those that we fork.
 */
#ifndef MPX_NOTIFY_H
#define MPX_NOTIFY_H

#include <mp/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef struct mpx_notify {
    struct sockaddr_un address;
    socklen_t address_size; /* 0: nobody wants to know */
    bool is_watched;
    int64_t every_ns; /* between beats */
    int64_t next_at;
} mpx_notify_t;

/* Read the environment, and take it away from our children: it is about this process alone. For
 * main, before any thread. MP_OK; MP_EINVAL what it says makes no sense: then nobody is told. */
mp_rc_t mpx_notify_init(mpx_notify_t *self);

/* Say a state, as "READY=1" or "STOPPING=1", and with it a text for people. Waits for at most a
 * second when the other side is behind. */
void mpx_notify_say(const mpx_notify_t *self, const char *state, const char *format, ...)
    MP_PRINTF(3, 4);

/* When the next beat is due; MPX_NEVER: none will be. */
int64_t mpx_notify_deadline(const mpx_notify_t *self);
/* The loop turns: if a beat is due say so, with a text for people. Never waits. */
void mpx_notify_beat(mpx_notify_t *self, int64_t now, const char *status);

#endif
