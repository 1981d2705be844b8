/* sentry.h: watches the connections of a hub for what libzmq doesn't bound, and for silence.
 *
 * libzmq keeps a connection that says nothing for as long as it likes, and a message that doesn't
 * end with all that came of it; it tells nobody. Of small messages that come more quickly than
 * they are read it keeps all, each in 64 bytes at least. So each connection has a time in which it
 * must be trusted, and on tcp the kernel's count of the bytes that came is held against the bytes
 * that were handed out: what is missing lies in libzmq. Who breaks a bound is shut down; so is, on
 * tcp, who is trusted and sends no heartbeats any more (pulse.h).
 *
 * Connections are named by descriptors, which are libzmq's: a number may be another connection's
 * by now, which its inode tells. Pure but for asking the kernel about them.
 */
#ifndef MPX_SENTRY_H
#define MPX_SENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mpx_sentry mpx_sentry_t;

typedef struct mpx_sentry_options {
    int64_t patience_ns; /* for a connection that isn't trusted */
    size_t strangers;    /* most of them; beyond that the oldest one goes */
    size_t ahead_bytes;  /* most that may have come and not be handed out */
    size_t flood_bytes;  /* the same of many small messages, if kept up; 0: ahead_bytes */
    int64_t beat_ns;     /* how often peers send heartbeats */
} mpx_sentry_options_t;

/* NULL: out of memory. */
mpx_sentry_t *mpx_sentry_new(const mpx_sentry_options_t *options);
void mpx_sentry_free(mpx_sentry_t **self);

/* A connection has come, or is seen for the first time. */
void mpx_sentry_arrive(mpx_sentry_t *self, int fd, int64_t now);
/* These bytes of its were handed out. false: it hasn't come yet. */
bool mpx_sentry_took(mpx_sentry_t *self, int fd, size_t bytes);
/* Whether the last connection that had this number was shut down for its silence. Told once. */
bool mpx_sentry_fell_silent(mpx_sentry_t *self, int fd);
/* It may stay; or its time runs again. */
void mpx_sentry_trust(mpx_sentry_t *self, int fd, bool trusted, int64_t now);

/* When the next look is due. */
int64_t mpx_sentry_due(const mpx_sentry_t *self);
/* Look after them: when to come again, MPX_NEVER if nobody is there.
 * drained  all that is complete was handed out */
int64_t mpx_sentry_patrol(mpx_sentry_t *self, bool drained, int64_t now);

#endif
