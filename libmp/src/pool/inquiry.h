/* inquiry.h: one question to a broker about what it keeps, and its answer; a list, page by page. */
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

/* Rows whose numbers rise: jobs, dead letters. */
typedef struct mpx_listing {
    mp_pool_t *pool;
    int timeout_ms; /* for each page */
    /* Ask for the rows behind `after`, at most so many; each goes through mpx_listing_takes. */
    mp_rc_t (*ask)(struct mpx_listing *self, uint32_t most);
    const char *task; /* of dead letters */
    void *out;        /* the caller's array */
    size_t room;
    size_t count;
    uint64_t after; /* the last row's number */
} mpx_listing_t;

/* Whether the row of that number is a new one, to be put into out[count - 1]. An answer that comes
 * twice has rows that are there already. */
bool mpx_listing_takes(mpx_listing_t *self, uint64_t number);

/* Ask page by page, until there are no more, or no room. The codes of mpx_inquiry_run. */
mp_rc_t mpx_listing_run(mpx_listing_t *self, size_t *count);

#endif
