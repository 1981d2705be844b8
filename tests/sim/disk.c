/* disk.c: the store of the simulation: store.h in memory that outlives the broker. A commit is all
 * or nothing, as LMDB's is; the disk may be full, and its process may die in the middle. */
#include "world.h"

#include "clock.h"
#include "fault.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct record {
    mpx_bucket_t bucket;
    bool deletes, all; /* a change: the key, or all that begin with it */
    size_t key_size, value_size;
    unsigned char bytes[];
} record_t;

typedef struct records {
    record_t **at;
    size_t count, room;
} records_t;

static struct {
    records_t there; /* in the order of buckets and keys */
    bool full;
    unsigned dies_in; /* commits; 0: it doesn't */
} disk;

struct mpx_store {
    records_t changes;
    mp_rc_t lost;
};

static int compare(mpx_bucket_t bucket, mp_bytes_t key, const record_t *record)
{
    if (bucket != record->bucket)
        return bucket < record->bucket ? -1 : 1;
    size_t size = key.size < record->key_size ? key.size : record->key_size;
    int order = memcmp(key.data, record->bytes, size);
    return order ? order : (key.size > record->key_size) - (key.size < record->key_size);
}

static void insert(records_t *self, size_t i, record_t *record)
{
    if (self->count == self->room) {
        self->room = self->room ? 2 * self->room : 64;
        self->at = realloc(self->at, self->room * sizeof *self->at);
        MUST(self->at, "no memory");
    }
    memmove(self->at + i + 1, self->at + i, (self->count - i) * sizeof *self->at);
    self->at[i] = record;
    self->count++;
}

static void take_out(records_t *self, size_t i)
{
    free(self->at[i]);
    self->count--;
    memmove(self->at + i, self->at + i + 1, (self->count - i) * sizeof *self->at);
}

static void empty(records_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->at[i]);
    free(self->at);
    *self = (records_t){0};
}

/* The first that isn't before the key. */
static size_t place_of(mpx_bucket_t bucket, mp_bytes_t key)
{
    size_t low = 0, high = disk.there.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(bucket, key, disk.there.at[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool begins_with(const record_t *record, mpx_bucket_t bucket, mp_bytes_t prefix)
{
    return record->bucket == bucket && record->key_size >= prefix.size &&
           memcmp(record->bytes, prefix.data, prefix.size) == 0;
}

static void apply(record_t *change)
{
    mp_bytes_t key = {change->bytes, change->key_size};
    size_t i = place_of(change->bucket, key);
    records_t *there = &disk.there;
    if (change->all)
        while (i < there->count && begins_with(there->at[i], change->bucket, key))
            take_out(there, i);
    else if (i < there->count && compare(change->bucket, key, there->at[i]) == 0)
        take_out(there, i);
    if (change->deletes)
        free(change);
    else
        insert(there, i, change);
}

/* ---- for the world ------------------------------------------------------------------ */

void disk_reset(void)
{
    memset(&disk, 0, sizeof disk);
}

void disk_free(void)
{
    empty(&disk.there);
}

void disk_fill(bool full)
{
    disk.full = full;
}

bool disk_is_full(void)
{
    return disk.full;
}

void disk_dies_soon(void)
{
    disk.dies_in = 1 + (unsigned)chance(10);
}

/* A dead letter, see broker/archive_disk.h. */
static bool is_letter(const record_t *record)
{
    static const unsigned char begins[] = {0, 0, 0, 0, 0, 0, 0, 0, 'd'};
    return begins_with(record, MPX_BUCKET_JOB, (mp_bytes_t){begins, sizeof begins});
}

size_t disk_records(int bucket)
{
    size_t count = 0;
    for (size_t i = 0; i < disk.there.count; i++)
        count += (int)disk.there.at[i]->bucket == bucket && !is_letter(disk.there.at[i]);
    return count;
}

void disk_list(int bucket)
{
    for (size_t i = 0; i < disk.there.count; i++) {
        const record_t *record = disk.there.at[i];
        char key[4 * MPX_STORE_KEY_MAX + 1];
        size_t n = 0;
        if ((int)record->bucket != bucket)
            continue;
        for (size_t at = 0; at < record->key_size; at++) {
            unsigned char byte = record->bytes[at];
            n += (size_t)snprintf(key + n, sizeof key - n,
                                  byte >= 'a' && byte <= 'z' ? "%c" : "%02x", byte);
        }
        trace("on the disk, in bucket %d: %s, %zu bytes", bucket, key, record->value_size);
    }
}

/* ---- store.h ------------------------------------------------------------------------ */

mp_rc_t mpx_store_open(const mpx_store_options_t *options, mpx_store_t **out)
{
    (void)options;
    *out = calloc(1, sizeof **out);
    return *out ? MP_OK : MP_ENOMEM;
}

void mpx_store_close(mpx_store_t **self)
{
    if (!*self)
        return;
    empty(&(*self)->changes);
    free(*self);
    *self = NULL;
}

mp_rc_t mpx_store_read(mpx_store_t *self, mpx_bucket_t bucket,
                       mp_rc_t (*each)(void *arg, mp_bytes_t key, mp_bytes_t value), void *arg)
{
    (void)self;
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < disk.there.count; i++) {
        record_t *record = disk.there.at[i];
        if (record->bucket == bucket)
            rc = each(arg, (mp_bytes_t){record->bytes, record->key_size},
                      (mp_bytes_t){record->bytes + record->key_size, record->value_size});
    }
    return rc;
}

static mp_rc_t change(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key, mp_bytes_t value,
                      bool deletes, bool all)
{
    if (self->lost != MP_OK)
        return self->lost;
    if (disk.full && one_in(3))
        return self->lost = mpx_fault(MP_ENOSPACE, "the disk is full");
    record_t *record = malloc(sizeof *record + key.size + value.size);
    MUST(record, "no memory");
    *record = (record_t){bucket, deletes, all, key.size, value.size};
    memcpy(record->bytes, key.data, key.size);
    if (value.size)
        memcpy(record->bytes + key.size, value.data, value.size);
    insert(&self->changes, self->changes.count, record);
    return MP_OK;
}

mp_rc_t mpx_store_put(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key, mp_bytes_t value)
{
    return change(self, bucket, key, value, false, false);
}

mp_rc_t mpx_store_del(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t key)
{
    return change(self, bucket, key, (mp_bytes_t){0}, true, false);
}

mp_rc_t mpx_store_del_all(mpx_store_t *self, mpx_bucket_t bucket, mp_bytes_t prefix)
{
    return change(self, bucket, prefix, (mp_bytes_t){0}, true, true);
}

bool mpx_store_is_changed(const mpx_store_t *self)
{
    return self->changes.count > 0 || self->lost != MP_OK;
}

void mpx_store_abort(mpx_store_t *self)
{
    empty(&self->changes);
    self->lost = MP_OK;
}

mp_rc_t mpx_store_commit(mpx_store_t *self)
{
    mp_rc_t rc = self->lost;
    if (rc == MP_OK && self->changes.count && disk.full)
        rc = mpx_fault(MP_ENOSPACE, "the disk is full");
    if (self->changes.count && disk.dies_in && --disk.dies_in == 0 && !world->calm) {
        trace("** the broker dies in a commit");
        world->dying = world->current;
        if (one_in(2))
            rc = MP_ESYSTEM; /* it was not written any more; nobody will hear of the code */
    }
    if (rc != MP_OK) {
        mpx_store_abort(self);
        return rc;
    }
    for (size_t i = 0; i < self->changes.count; i++)
        apply(self->changes.at[i]);
    self->changes.count = 0;
    return MP_OK;
}

size_t mpx_store_bytes(const mpx_store_t *self)
{
    (void)self;
    size_t bytes = 0;
    for (size_t i = 0; i < disk.there.count; i++)
        bytes += disk.there.at[i]->key_size + disk.there.at[i]->value_size;
    return bytes;
}
