/* ask.h: a question to a broker, without a pool: connect, ask, and wait for the whole answer. */
#ifndef MPX_ASK_H
#define MPX_ASK_H

#include "session.h"

typedef struct mpx_ask {
    void *self;
    /* Connected, also again after a loss: ask. */
    mp_rc_t (*up)(void *self, mpx_session_t *session);
    /* *done: that was all. */
    mp_rc_t (*message)(void *self, mpx_session_t *session, const mpx_header_t *header,
                       mp_bytes_t payload, bool *done);
} mpx_ask_t;

/* MP_OK; MP_EINVAL; MP_ECONNECT nobody answered in full within timeout_ms (-1: for ever); what the
 * functions return; as a session fails. */
mp_rc_t mpx_ask(const mpx_ask_t *self, const char *endpoint, int timeout_ms);

#endif
