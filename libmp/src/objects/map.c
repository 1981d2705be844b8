/* map.c: pairs of key and value, in the order in which the keys came. */
#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

static size_t cost_of(size_t key_size, const mpx_thing_t *value)
{
    return MPX_ENTRY_COST + key_size + (value ? value->size : 0);
}

mpx_pair_t *mpx_map_find(const mpx_object_t *self, mp_bytes_t key)
{
    mpx_pair_t *pair = NULL;
    HASH_FIND(hh, self->as.pairs, key.data, key.size, pair);
    return pair;
}

static void stop_expiry(mpx_space_t *space, mpx_pair_t *pair)
{
    if (!pair->expiry)
        return;
    mpx_heap_remove(&space->timers, &pair->expiry->node);
    free(pair->expiry);
    pair->expiry = NULL;
}

void mpx_map_free_pair(mpx_space_t *space, mpx_pair_t *pair)
{
    stop_expiry(space, pair);
    mpx_thing_free(space, pair->value);
    free(pair);
}

void mpx_map_unlist(mpx_object_t *self, mpx_pair_t *pair)
{
    HASH_DEL(self->as.pairs, pair);
}

static int by_order(const mpx_pair_t *a, const mpx_pair_t *b)
{
    return (a->order > b->order) - (a->order < b->order);
}

/* The order is the app's list of the hash; the memory was there before. */
void mpx_map_relist(mpx_object_t *self, mpx_pair_t *pair)
{
    HASH_ADD_KEYPTR_INORDER(hh, self->as.pairs, pair->key, pair->key_size, pair, by_order);
}

static mpx_pair_t *list_new(mpx_space_t *space, mpx_object_t *self, mp_bytes_t key)
{
    mpx_pair_t *pair = calloc(1, sizeof *pair + key.size);
    if (!pair)
        return NULL;
    pair->key_size = (uint32_t)key.size;
    memcpy(pair->key, key.data, key.size);
    pair->order = mpx_space_number(space);
    HASH_ADD_KEYPTR(hh, self->as.pairs, pair->key, key.size, pair);
    if (!pair->unlisted)
        return pair;
    free(pair);
    return NULL;
}

static mp_rc_t put_new(mpx_space_t *space, mpx_object_t *self, mp_bytes_t key, mpx_thing_t *value,
                       mpx_pair_t **out)
{
    size_t cost = cost_of(key.size, value);
    if (space->options.durable && key.size > MPX_STORED_KEY_MAX)
        return mpx_fault(MP_ETOOLARGE, "a key of %zu bytes; on disk at most %d", key.size,
                         MPX_STORED_KEY_MAX);
    mp_rc_t rc = mpx_object_room(space, self, 0, cost, mpx_map_len(self) + 1);
    if (rc == MP_OK)
        rc = mpx_journal_room(space);
    if (rc != MP_OK)
        return rc;
    mpx_pair_t *pair = list_new(space, self, key);
    if (!pair)
        return mpx_fault(MP_ENOMEM, "a key");
    pair->value = value;
    mpx_object_count_bytes(space, self, 0, cost);
    mpx_journal_note(space, &(mpx_undo_t){MPX_UNDO_PAIR_NEW, .object = self, .pair = pair});
    *out = pair;
    return MP_OK;
}

static mp_rc_t replace(mpx_space_t *space, mpx_object_t *self, mpx_pair_t *pair, mpx_thing_t *value)
{
    size_t before = cost_of(pair->key_size, pair->value);
    size_t after = cost_of(pair->key_size, value);
    mp_rc_t rc = mpx_object_room(space, self, before, after, 0);
    if (rc == MP_OK)
        rc = mpx_journal_room(space);
    if (rc != MP_OK)
        return rc;
    mpx_undo_t undo = {MPX_UNDO_PAIR_VALUE,
                       .object = self,
                       .pair = pair,
                       .thing = pair->value,
                       .version = pair->version,
                       .at = pair->expiry ? pair->expiry->node.at : 0};
    pair->value = value;
    stop_expiry(space, pair);
    mpx_object_count_bytes(space, self, before, after);
    mpx_journal_note(space, &undo);
    return MP_OK;
}

mp_rc_t mpx_map_put(mpx_space_t *space, mpx_object_t *self, mp_bytes_t key, mpx_thing_t *value,
                    mpx_pair_t **out)
{
    mpx_pair_t *pair = mpx_map_find(self, key);
    mp_rc_t rc = pair ? replace(space, self, pair, value) : put_new(space, self, key, value, &pair);
    if (rc != MP_OK) {
        mpx_thing_free(space, value);
        return rc;
    }
    mpx_object_touch(space, self);
    pair->version = self->version;
    if (out)
        *out = pair;
    return MP_OK;
}

mp_rc_t mpx_map_remove(mpx_space_t *space, mpx_object_t *self, mpx_pair_t *pair)
{
    mp_rc_t rc = mpx_journal_room(space);
    if (rc != MP_OK)
        return rc;
    mpx_map_unlist(self, pair);
    if (pair->expiry)
        mpx_heap_remove(&space->timers, &pair->expiry->node);
    mpx_object_count_bytes(space, self, cost_of(pair->key_size, pair->value), 0);
    mpx_journal_note(space, &(mpx_undo_t){MPX_UNDO_PAIR_GONE, .object = self, .pair = pair});
    mpx_object_touch(space, self);
    return MP_OK;
}

mp_rc_t mpx_map_expire(mpx_space_t *space, mpx_object_t *self, mpx_pair_t *pair, int64_t at)
{
    mp_rc_t rc = MP_OK;
    if (!at) {
        stop_expiry(space, pair);
        return MP_OK;
    }
    if (!pair->expiry && !(pair->expiry = calloc(1, sizeof *pair->expiry)))
        return mpx_fault(MP_ENOMEM, "a key that expires");
    pair->expiry->kind = MPX_TIMER_PAIR;
    pair->expiry->of = pair;
    pair->expiry->object = self;
    rc = mpx_heap_set(&space->timers, &pair->expiry->node, at);
    if (rc != MP_OK)
        stop_expiry(space, pair);
    return rc;
}
