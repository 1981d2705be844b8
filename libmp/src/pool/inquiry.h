/* inquiry.h: one question to a broker about what it keeps, and its answer. */
#ifndef MPX_INQUIRY_H
#define MPX_INQUIRY_H

#include "drive.h"
#include "job_body.h"

typedef struct mpx_inquiry {
    mpx_errand_t errand;
    mp_pool_t *pool;
    mpx_header_t header; /* the question; nonce is filled in */
    mp_bytes_t body;
    /* A row of the answer, or all of it: a JOB_INFO or JOB_GIVE with a payload. Not MP_OK: that is
     * how it ends. */
    mp_rc_t (*on_row)(struct mpx_inquiry *self, const mpx_header_t *header, mp_bytes_t payload);
    void *arg;
    bool over;
    uint64_t first; /* of the last message */
    mp_rc_t rc;
    char problem[512];
} mpx_inquiry_t;

/* Ask, and wait. Takes the pool's lock. A question may be asked twice, when the connection is lost
 * before its answer has come. MP_OK; MP_EINVAL no broker's; MP_ETIMEDOUT; MP_ECLOSED; MP_EFORKED;
 * what the broker says; what on_row says. */
mp_rc_t mpx_inquiry_run(mpx_inquiry_t *self, mp_pool_t *pool, int timeout_ms);

#endif
