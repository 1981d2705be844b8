/* deposit.h: a client's side of a job that its broker keeps.
 *
 *     put -> filling -> under way -> (acknowledged)         one JOB_PUT at a time: what comes
 *     next <- batch <- JOB_GIVE                              meanwhile travels in the next one
 *
 * Every request can be made again, so a connection that was lost costs nothing: the handle is taken
 * anew, and what was not answered is asked again. All functions are called with the pool's lock,
 * and those with a deadline leave it while they wait.
 */
#ifndef MPX_DEPOSIT_H
#define MPX_DEPOSIT_H

#include "drive.h"
#include "job_body.h"
#include "listen.h"
#include <mp/kept.h>

typedef struct mpx_deposit mpx_deposit_t;

/* Make a job, or come back to one by its id (spec is NULL, and options). Waits for the broker.
 * listen  who is told what calls write; must stay valid for the deposit's life
 * MP_OK; MP_EINVAL; and as mp_job_attach. */
mp_rc_t mpx_deposit_new(mp_pool_t *pool, const mpx_job_spec_t *spec,
                        const mp_call_options_t *options, const char *id,
                        const mpx_listen_t *listen, int64_t deadline, mpx_deposit_t **out);
/* Nothing is waited for. A job that was only to leave dead letters is dropped, others go on. */
void mpx_deposit_free(mpx_deposit_t *self);

const char *mpx_deposit_id(const mpx_deposit_t *self);
/* The task of a job that was come back to. */
const mp_task_t *mpx_deposit_task(const mpx_deposit_t *self);
/* Whether next would return at once. */
mp_rc_t mpx_deposit_put(mpx_deposit_t *self, const mp_task_t *task, mp_bytes_t input,
                        int64_t deadline);
void mpx_deposit_close(mpx_deposit_t *self);
void mpx_deposit_cancel(mpx_deposit_t *self);
/* As mp_job_next; the record is valid until the next call. */
mp_rc_t mpx_deposit_next(mpx_deposit_t *self, mpx_record_t *out, uint64_t *index, int64_t deadline);
mp_rc_t mpx_deposit_settle(mpx_deposit_t *self, int64_t deadline);
/* Until the broker has all inputs, and knows that we are gone. */
mp_rc_t mpx_deposit_leave(mpx_deposit_t *self, int64_t deadline);
/* Until the broker has all inputs that were put, or it can't have them. MP_OK; MP_ETIMEDOUT;
 * MP_ECLOSED. */
mp_rc_t mpx_deposit_flush(mpx_deposit_t *self, int64_t deadline);
/* The broker's of the job. */
uint64_t mpx_deposit_number(const mpx_deposit_t *self);
mp_rc_t mpx_deposit_wait(mpx_deposit_t *self, mp_job_info_t *out, int64_t deadline);
mp_rc_t mpx_deposit_drop(mpx_deposit_t *self, int64_t deadline);

void mpx_job_info_fill(mp_job_info_t *out, const mpx_kept_info_t *info);
/* 32 hex digits. MP_OK; MP_ESYSTEM. */
mp_rc_t mpx_job_id_random(char id[MP_JOB_ID_MAX + 1]);
/* A random number that isn't 0. */
mp_rc_t mpx_job_token(uint64_t *out);

#endif
