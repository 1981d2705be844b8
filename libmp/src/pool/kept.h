/* kept.h: the outcome of a call, kept until somebody wants it; and its input, until it is sent. */
#ifndef MPX_KEPT_H
#define MPX_KEPT_H

#include "wire.h"
#include <mp/pool.h>

typedef struct mpx_kept {
    mp_outcome_t outcome; /* its strings point into arena, its value to value */
    void *arena;          /* the unpacked failure, or NULL */
    unsigned char *value; /* or NULL */
} mpx_kept_t;

/* Append an input as the task's SUBMIT has it. MP_OK; MP_ENOMEM. */
mp_rc_t mpx_kept_input(mpx_buf_t *out, const mp_task_t *task, mp_bytes_t input);
/* How many bytes that takes, which is what counts for credit. */
size_t mpx_kept_input_bytes(const mp_task_t *task, size_t input_bytes);
/* Where a call ran that failed: its host, or "" if no worker process is known to have had it.
 * Whoever ends a call that it hasn't given out, or not heard of again, names itself. */
const char *mpx_kept_where(const mpx_failure_t *failure);

/* A value of another size than the task's is MP_EPROTO. MP_OK; MP_ENOMEM the value is lost. */
mp_rc_t mpx_kept_fill(mpx_kept_t *self, const mp_task_t *task, uint64_t index,
                      const mpx_record_t *record);
void mpx_kept_free(mpx_kept_t *self);

#endif
