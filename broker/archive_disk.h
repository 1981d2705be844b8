/* archive_disk.h: kept jobs and dead letters in a store.
 *
 * They share a bucket with the heads of sessions (account.h), whose numbers are never 0. Keys begin
 * with eight zeros; numbers have the highest byte first:
 *
 *     0, 'd', letter              its block
 *     0, 'j', job                 when it was made, state, counts, whose it is, the Keep
 *     0, 'k', job, first call     the batch: count, item_bytes, when it came, items
 *     0, 'o', job, call           the outcome: hash and size of the input, the record
 *
 * What an error of the store leads to is seen at the commit.
 */
#ifndef MPX_ARCHIVE_DISK_H
#define MPX_ARCHIVE_DISK_H

#include "kept_job.h"
#include "morgue.h"
#include "store.h"

/* Whether a key of MPX_BUCKET_JOB is one of these. */
bool mpx_archive_disk_owns(mp_bytes_t key);

/* MP_OK; MP_ENOMEM: the rest is as the store says. */
mp_rc_t mpx_archive_put_job(mpx_store_t *store, const mpx_kept_job_t *job);
mp_rc_t mpx_archive_put_batch(mpx_store_t *store, const mpx_kept_batch_t *batch);
mp_rc_t mpx_archive_put_outcome(mpx_store_t *store, const mpx_kept_job_t *job, uint64_t index);
void mpx_archive_put_letter(mpx_store_t *store, const mpx_letter_t *letter);
void mpx_archive_del_batch(mpx_store_t *store, const mpx_kept_batch_t *batch);
void mpx_archive_del_outcome(mpx_store_t *store, const mpx_kept_job_t *job, uint64_t index);
void mpx_archive_del_job(mpx_store_t *store, const mpx_kept_job_t *job);
void mpx_archive_del_letter(mpx_store_t *store, uint64_t number);
void mpx_archive_del_all(mpx_store_t *store);

/* What is read, in this order: letters, jobs, batches, outcomes. Their functions say MP_ENOTFOUND
 * for a job that they don't know. MP_OK; MP_ECORRUPT; MP_ENOMEM; MP_ESYSTEM. */
typedef struct mpx_archive_reader {
    void *self;
    mp_rc_t (*letter)(void *self, uint64_t number, mp_bytes_t block);
    mp_rc_t (*job)(void *self, uint64_t number, const char *owner, mp_bytes_t keep,
                   mpx_kept_job_t **out);
    mpx_kept_job_t *(*find)(void *self, uint64_t number);
} mpx_archive_reader_t;
mp_rc_t mpx_archive_read(mpx_store_t *store, const mpx_archive_reader_t *reader);

#endif
