/* http.h: how a daemon is, for probes and for Prometheus: /healthz, /readyz and /metrics.
 *
 * Served by threads of libmicrohttpd that share nothing with the daemon's loop but what is here, so
 * a loop that hangs is told of as well:
 *
 *     loop:  beat, beat, ... ; when something is wanted: publish
 *     http:  /healthz  200 if the last beat is young, or there was none yet; else 503
 *            /readyz   200 if that beat said ready, else 503 with why it is not
 *            /metrics  wants a text, and waits a moment for the loop to publish it
 *
 * Reading only, for anybody who can connect. Connections are few and end after some seconds.
 */
#ifndef MPX_HTTP_H
#define MPX_HTTP_H

#include <mp/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_http mpx_http_t;

/* PORT, or HOST:PORT with a numeric host ([::1]:PORT; * for all addresses): a port alone is on
 * loopback, 0 picks one. MP_OK; MP_EINVAL. */
mp_rc_t mpx_http_check(const char *address);
/* Whether a valid address can be reached from this host only. */
bool mpx_http_is_local(const char *address);

/* Bind the address. MP_OK; MP_EINVAL; MP_EEXIST the address is in use; MP_ESYSTEM; MP_ENOMEM. */
mp_rc_t mpx_http_new(const char *address, mpx_http_t **out);
/* Start the threads: not before whoever forks has forked. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_http_start(mpx_http_t *self);
/* NULL-safe, idempotent. */
void mpx_http_destroy(mpx_http_t **self);
/* HOST:PORT as bound. */
const char *mpx_http_address(const mpx_http_t *self);

/* How often the loop must beat, at least. */
enum { MPX_HTTP_BEAT_MS = 1000 };
/* The loop turns. unready: why nobody should send work, a literal; NULL: all is well. */
void mpx_http_beat(mpx_http_t *self, int64_t now, const char *unready);

/* Readable when a text is wanted. */
int mpx_http_fd(const mpx_http_t *self);
bool mpx_http_is_wanted(mpx_http_t *self);
/* The text is copied. */
void mpx_http_publish(mpx_http_t *self, const void *text, size_t size);

#endif
