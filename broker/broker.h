/* broker.h: the broker's loop: link -> wire -> relays and engine -> wire -> link. */
#ifndef MPX_BROKER_H
#define MPX_BROKER_H

#include "log.h"
#include "watch.h"
#include <mp/error.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_broker mpx_broker_t;

typedef struct mpx_broker_options {
    const char *const *listen; /* endpoints */
    size_t listen_count;
    void *context;              /* libzmq's; NULL: the library's own */
    uint32_t max_peers;         /* connections */
    uint64_t max_message_bytes; /* of one payload */
    uint64_t submit_bytes;      /* per client: payload submitted, not yet answered */
    uint64_t result_bytes;      /* per client: results sent, not yet acknowledged */
    int worker_wait_ms;         /* for a first worker, when the client doesn't say */
    int drain_ms;               /* how long a drain may take */
    const char *data;           /* directory for what must last; NULL: in memory */
    const char *types;          /* a module with custom types of objects; NULL: none */
    int lease_ms;               /* of who holds an object */
    int session_ms;             /* with data: how long jobs wait for a client that is gone */
    uint64_t object_bytes;      /* of all objects together */
    const char *keys;           /* folder with certificate and list of clients; NULL: no keys */
    uint64_t max_operations;    /* of one peer in a second; 0: no limit */
    int reload_fd;              /* readable: read the list again; drained by us. 0: none */
    uint64_t kept_bytes;        /* of all kept jobs together */
    int keep_ms;                /* how long a job is kept at most */
    int kept_wait_ms;           /* and waits for a first worker; 0: for ever */
    uint64_t dead_bytes;        /* of dead letters */
    mpx_log_t *log;
    mpx_watch_t watch; /* has been told that we are ready */
} mpx_broker_options_t;

/* Whether the endpoints may be listened on at all, and the keys can be used. MP_OK; MP_EINVAL;
 * MP_EPERM; MP_ENOTFOUND. */
mp_rc_t mpx_broker_check(const mpx_broker_options_t *options);

/* Bind all endpoints. MP_OK; MP_EINVAL; MP_EPERM an endpoint beyond this host, which needs
 * keys, or keys that others can read; MP_ENOTFOUND no keys there; MP_EEXIST an address in use;
 * MP_EBUSY another broker has the data directory; MP_EVERSION, MP_ECORRUPT it can't be read;
 * MP_EMODULE; MP_ENOSPACE; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_broker_new(const mpx_broker_options_t *options, mpx_broker_t **out);
void mpx_broker_destroy(mpx_broker_t **self);

/* The i-th endpoint as bound, with its real port; NULL past the last. */
const char *mpx_broker_endpoint(const mpx_broker_t *self, size_t i);

/* Serve. stop_fd readable once: drain (no new jobs; open ones are finished, for at most
 * drain_ms), again: end at once. It is a signalfd, an eventfd or a pipe.
 * MP_OK stopped; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_broker_run(mpx_broker_t *self, int stop_fd);

/* What run does, for a loop of another's: take all that is there and do what is due at mpx_now,
 * and when to call it again at the latest. MP_OK; MP_EOF it is over; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_broker_turn(mpx_broker_t *self);
int64_t mpx_broker_deadline(const mpx_broker_t *self, int64_t now);
/* As stop_fd readable once. */
void mpx_broker_stop(mpx_broker_t *self);

/* For tests: NULL when every invariant holds, else the one that doesn't. */
const char *mpx_broker_check_state(const mpx_broker_t *self);
/* Calls that it has: queued and given. */
uint64_t mpx_broker_open_calls(const mpx_broker_t *self);

#endif
