/* errand.h: connect to a broker, send it one message, and wait for the answer. */
#ifndef MPX_ERRAND_H
#define MPX_ERRAND_H

#include "wire.h"

typedef struct mpx_errand {
    const char *endpoint;
    mpx_header_t question;
    mp_bytes_t payload;
    mpx_op_t answer; /* with the question's nonce */
    /* Called with it. What it returns is returned. */
    mp_rc_t (*answered)(void *self, const mpx_header_t *header, mp_bytes_t payload,
                        int64_t round_trip_ns);
    void *self;
} mpx_errand_t;

/* Blocks. MP_OK; MP_EINVAL; MP_ECONNECT no answer in time; what the broker refuses with; what
 * `answered` returns; MP_ENOMEM; MP_ESYSTEM. */
mp_rc_t mpx_errand_run(const mpx_errand_t *self, int timeout_ms);

#endif
