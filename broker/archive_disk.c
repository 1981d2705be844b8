#include "archive_disk.h"

#include "fault.h"

#include <string.h>

enum {
    ZEROS = 8,
    KIND = ZEROS,
    NUMBER = KIND + 1,
    PART = NUMBER + 8,
    KEY_MAX = PART + 8,
    HEAD_BYTES = 8 + 1 + 8 + 8 + 1, /* made, state, calls, freed, size of the owner */
    BATCH_HEAD = 16,
    OUTCOME_HEAD = 12,
    CLOSED = 1,
    CANCELLED = 2,
    COMPLETE = 4,
    IS_LEFT = 8
};

typedef struct place {
    unsigned char bytes[KEY_MAX];
} place_t;

static void put_number(unsigned char *out, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(number >> (56 - 8 * i));
}

static uint64_t get_number(const unsigned char *at)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | at[i];
    return number;
}

static mp_bytes_t key_of(place_t *key, char kind, uint64_t number, uint64_t part, size_t size)
{
    memset(key->bytes, 0, ZEROS);
    key->bytes[KIND] = (unsigned char)kind;
    put_number(key->bytes + NUMBER, number);
    put_number(key->bytes + PART, part);
    return (mp_bytes_t){key->bytes, size};
}

bool mpx_archive_disk_owns(mp_bytes_t key)
{
    static const unsigned char zeros[ZEROS];
    return key.size > ZEROS && memcmp(key.data, zeros, ZEROS) == 0;
}

/* ---- putting down ------------------------------------------------------------------- */

static void put(mpx_store_t *store, mp_bytes_t key, mp_bytes_t value)
{
    (void)mpx_store_put(store, MPX_BUCKET_JOB, key, value);
}

static void del(mpx_store_t *store, mp_bytes_t key)
{
    (void)mpx_store_del(store, MPX_BUCKET_JOB, key);
}

static unsigned char state_of(const mpx_kept_job_t *job)
{
    return (unsigned char)((job->closed ? CLOSED : 0) | (job->cancelled ? CANCELLED : 0) |
                           (job->complete ? COMPLETE : 0) | (job->is_left ? IS_LEFT : 0));
}

mp_rc_t mpx_archive_put_job(mpx_store_t *store, const mpx_kept_job_t *job)
{
    place_t key;
    unsigned char head[HEAD_BYTES];
    mpx_buf_t value = {0};
    put_number(head, job->created_ms);
    head[8] = state_of(job);
    put_number(head + 9, job->count);
    put_number(head + 17, job->freed);
    head[25] = (unsigned char)strlen(job->owner);
    mp_rc_t rc = mpx_buf_add(&value, head, sizeof head);
    if (rc == MP_OK)
        rc = mpx_buf_add(&value, job->owner, head[25]);
    if (rc == MP_OK)
        rc = mpx_keep_pack(&job->keep, &value);
    if (rc == MP_OK)
        put(store, key_of(&key, 'j', job->number, 0, PART), mpx_buf_bytes(&value));
    mpx_buf_free(&value);
    return rc;
}

mp_rc_t mpx_archive_put_batch(mpx_store_t *store, const mpx_kept_batch_t *batch)
{
    place_t key;
    unsigned char put_ms[8];
    mpx_buf_t value = {0};
    mp_rc_t rc = mpx_buf_add_u32(&value, batch->count);
    if (rc == MP_OK)
        rc = mpx_buf_add_u32(&value, batch->item_bytes);
    put_number(put_ms, batch->put_ms);
    if (rc == MP_OK)
        rc = mpx_buf_add(&value, put_ms, sizeof put_ms);
    if (rc == MP_OK && batch->size)
        rc = mpx_buf_add(&value, batch->payload, batch->size);
    if (rc == MP_OK)
        put(store, key_of(&key, 'k', batch->job->number, batch->first, KEY_MAX),
            mpx_buf_bytes(&value));
    mpx_buf_free(&value);
    return rc;
}

mp_rc_t mpx_archive_put_outcome(mpx_store_t *store, const mpx_kept_job_t *job, uint64_t index)
{
    place_t key;
    mpx_buf_t value = {0};
    const mpx_kept_call_t *call = &job->calls[index];
    mp_rc_t rc = mpx_buf_add_u32(&value, (uint32_t)call->hash);
    if (rc == MP_OK)
        rc = mpx_buf_add_u32(&value, (uint32_t)(call->hash >> 32));
    if (rc == MP_OK)
        rc = mpx_buf_add_u32(&value, call->size);
    if (rc == MP_OK)
        rc = mpx_buf_add(&value, call->record, call->record_size);
    if (rc == MP_OK)
        put(store, key_of(&key, 'o', job->number, index, KEY_MAX), mpx_buf_bytes(&value));
    mpx_buf_free(&value);
    return rc;
}

void mpx_archive_put_letter(mpx_store_t *store, const mpx_letter_t *letter)
{
    place_t key;
    put(store, key_of(&key, 'd', letter->number, 0, PART),
        (mp_bytes_t){letter->block, letter->size});
}

void mpx_archive_del_batch(mpx_store_t *store, const mpx_kept_batch_t *batch)
{
    place_t key;
    del(store, key_of(&key, 'k', batch->job->number, batch->first, KEY_MAX));
}

void mpx_archive_del_outcome(mpx_store_t *store, const mpx_kept_job_t *job, uint64_t index)
{
    place_t key;
    del(store, key_of(&key, 'o', job->number, index, KEY_MAX));
}

void mpx_archive_del_letter(mpx_store_t *store, uint64_t number)
{
    place_t key;
    del(store, key_of(&key, 'd', number, 0, PART));
}

void mpx_archive_del_job(mpx_store_t *store, const mpx_kept_job_t *job)
{
    static const char kinds[] = {'j', 'k', 'o'};
    place_t key;
    for (size_t i = 0; i < sizeof kinds; i++)
        (void)mpx_store_del_all(store, MPX_BUCKET_JOB,
                                key_of(&key, kinds[i], job->number, 0, PART));
}

void mpx_archive_del_all(mpx_store_t *store)
{
    place_t key;
    (void)mpx_store_del_all(store, MPX_BUCKET_JOB, key_of(&key, 0, 0, 0, ZEROS));
}

/* ---- reading ------------------------------------------------------------------------ */

static mp_rc_t corrupt(void)
{
    return mpx_fault(MP_ECORRUPT, "the data directory has records of kept jobs that don't fit");
}

static mp_rc_t read_job(const mpx_archive_reader_t *reader, uint64_t number, mp_bytes_t value)
{
    const unsigned char *at = value.data;
    char owner[MPX_KEY_NAME_MAX + 1] = {0};
    mpx_kept_job_t *job;
    if (value.size < HEAD_BYTES || at[25] > MPX_KEY_NAME_MAX || value.size - HEAD_BYTES < at[25])
        return corrupt();
    memcpy(owner, at + HEAD_BYTES, at[25]);
    mp_bytes_t keep = {at + HEAD_BYTES + at[25], value.size - HEAD_BYTES - at[25]};
    mp_rc_t rc = reader->job(reader->self, number, owner, keep, &job);
    if (rc != MP_OK)
        return rc == MP_EPROTO ? corrupt() : rc;
    job->created_ms = get_number(at);
    job->closed = at[8] & CLOSED;
    job->cancelled = at[8] & CANCELLED;
    job->complete = at[8] & COMPLETE;
    job->is_left = at[8] & IS_LEFT;
    job->maker_is_away = !job->closed && !job->is_left;
    return mpx_kept_job_load_counts(job, get_number(at + 9), get_number(at + 17));
}

static mp_rc_t read_batch(mpx_kept_job_t *job, uint64_t first, mp_bytes_t value)
{
    const unsigned char *at = value.data;
    if (value.size < BATCH_HEAD)
        return corrupt();
    mpx_header_t header = {
        .first = first, .count = mpx_load_u32(at), .item_bytes = mpx_load_u32(at + 4)};
    return mpx_kept_job_load_batch(job, get_number(at + 8), &header,
                                   (mp_bytes_t){at + BATCH_HEAD, value.size - BATCH_HEAD});
}

static mp_rc_t read_outcome(mpx_kept_job_t *job, uint64_t index, mp_bytes_t value)
{
    const unsigned char *at = value.data;
    if (value.size < OUTCOME_HEAD)
        return corrupt();
    uint64_t hash = mpx_load_u32(at) | (uint64_t)mpx_load_u32(at + 4) << 32;
    return mpx_kept_job_load_outcome(job, index, hash, mpx_load_u32(at + 8),
                                     (mp_bytes_t){at + OUTCOME_HEAD, value.size - OUTCOME_HEAD});
}

static mp_rc_t read_one(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    const mpx_archive_reader_t *reader = arg;
    const unsigned char *at = key.data;
    if (!mpx_archive_disk_owns(key))
        return MP_OK;
    bool has_part = at[KIND] == 'k' || at[KIND] == 'o';
    if (key.size != (size_t)(has_part ? KEY_MAX : PART))
        return corrupt();
    uint64_t number = get_number(at + NUMBER);
    if (at[KIND] == 'd')
        return reader->letter(reader->self, number, value);
    if (at[KIND] == 'j')
        return read_job(reader, number, value);
    mpx_kept_job_t *job = has_part ? reader->find(reader->self, number) : NULL;
    if (!job)
        return corrupt();
    uint64_t part = get_number(at + PART);
    return at[KIND] == 'k' ? read_batch(job, part, value) : read_outcome(job, part, value);
}

mp_rc_t mpx_archive_read(mpx_store_t *store, const mpx_archive_reader_t *reader)
{
    return mpx_store_read(store, MPX_BUCKET_JOB, read_one, (void *)(uintptr_t)reader);
}
