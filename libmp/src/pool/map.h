/* map.h: calls over arrays of the caller's: inputs are read where they lie, results written where
 * they belong. */
#ifndef MPX_MAP_H
#define MPX_MAP_H

#include "drive.h"
#include "listen.h"

typedef struct mpx_map {
    const mp_task_t *task;
    const char *label; /* the caller's; NULL: none */
    const unsigned char *in;
    unsigned char *out;
    mp_rc_t *rcs; /* may be NULL */
    mpx_listen_t listen;
    size_t total;
    uint64_t open;
    uint64_t failed;
    uint64_t first_failed;   /* UINT64_MAX: none */
    mp_rc_t rc;              /* of that call */
    void (*over)(void *arg); /* called with the last outcome; may be NULL */
    void *arg;
    char problem[768];
} mpx_map_t;

/* MP_OK; MP_EINVAL. */
mp_rc_t mpx_map_init(mpx_map_t *self, const mp_task_t *task, const void *in, size_t n, void *out,
                     mp_rc_t *rcs);
/* Under the pool's lock. The job is the caller's to close. MP_OK; the codes of opening a job. */
mp_rc_t mpx_map_begin(mpx_map_t *self, mp_pool_t *pool, const mp_call_options_t *options,
                      uint64_t *job);

#endif
