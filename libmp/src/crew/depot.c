#include "depot.h"

#include "alloc.h"
#include "arena.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <utlist.h>

/* A block of ours. */
typedef struct mpx_store {
    mpx_block_t *block;
    struct mpx_store *prev, *next; /* while idle: last used first */
} store_t;

struct mpx_depot {
    store_t *idle;
    size_t idle_bytes;
    size_t idle_max;
    size_t stays;
};

/* Below, a lane is quicker: one copy more, and no second message of two words. */
enum { INPUTS_MIN = MPX_DEPOT_INLINE_MAX, RESULT_MIN = 16 * 1024 };

static size_t idle_max(uint32_t executors)
{
    const size_t each = 2 * (size_t)MP_VALUE_BYTES_MAX;
    size_t eighth = (size_t)sysconf(_SC_PHYS_PAGES) / 8 * (size_t)sysconf(_SC_PAGESIZE);
    return executors < eighth / each ? executors * each : eighth;
}

mp_rc_t mpx_depot_new(uint32_t executors, mpx_depot_t **out)
{
    mpx_depot_t *self = calloc(1, sizeof *self);
    if (!self)
        return MP_ENOMEM;
    self->idle_max = idle_max(executors);
    *out = self;
    return MP_OK;
}

static void store_free(store_t *store)
{
    mpx_block_free(store->block);
    free(store);
}

static void take_out(mpx_depot_t *self, store_t *store)
{
    DL_DELETE(self->idle, store);
    self->idle_bytes -= mpx_block_bytes(store->block);
}

static void trim(mpx_depot_t *self, size_t most)
{
    while (self->idle_bytes > most) {
        store_t *last = self->idle->prev;
        take_out(self, last);
        store_free(last);
    }
}

void mpx_depot_destroy(mpx_depot_t **self_p)
{
    mpx_depot_t *self = *self_p;
    if (!self)
        return;
    trim(self, 0);
    free(self);
    *self_p = NULL;
}

/* The smallest idle one that isn't twice too large. */
static store_t *find_idle(const mpx_depot_t *self, size_t bytes)
{
    store_t *best = NULL;
    size_t best_bytes = bytes * 2;
    store_t *store;
    DL_FOREACH (self->idle, store) {
        size_t size = mpx_block_bytes(store->block);
        if (size >= bytes && size < best_bytes) {
            best = store;
            best_bytes = size;
        }
    }
    return best;
}

static mp_rc_t acquire(mpx_depot_t *self, size_t bytes, store_t **out)
{
    store_t *store = find_idle(self, bytes);
    if (store) {
        take_out(self, store);
        *out = store;
        return MP_OK;
    }
    store = calloc(1, sizeof *store);
    if (!store)
        return MP_ENOMEM;
    mp_rc_t rc = mpx_block_new(MPX_KIND_BULK, bytes, &store->block);
    if (rc != MP_OK) {
        free(store);
        return rc;
    }
    mpx_block_collapse(store->block);
    mpx_block_populate(store->block, 0, bytes);
    *out = store;
    return MP_OK;
}

static void let_go(mpx_depot_t *self, struct mpx_hold *hold)
{
    mpx_allocated_drop(hold->allocated);
    if (hold->store) {
        DL_PREPEND(self->idle, hold->store);
        self->idle_bytes += mpx_block_bytes(hold->store->block);
    }
    *hold = (struct mpx_hold){0};
}

/* Hold [at, at+bytes) where it is, or a store of that size; *where is its address. */
static mp_rc_t hold(mpx_depot_t *self, const void *at, size_t bytes, struct mpx_hold *out,
                    mpx_place_t *place, unsigned char **where)
{
    out->allocated = at ? mpx_allocated_find(at, bytes) : NULL;
    const mpx_block_t *block;
    if (out->allocated) {
        block = mpx_allocated_block(out->allocated);
        *where = (unsigned char *)(uintptr_t)at;
    } else {
        mp_rc_t rc = acquire(self, bytes, &out->store);
        if (rc != MP_OK)
            return rc;
        block = out->store->block;
        *where = mpx_block_data(block);
    }
    mpx_block_ref(block, &place->ref);
    place->offset = (uint64_t)(*where - (unsigned char *)mpx_block_data(block));
    return MP_OK;
}

bool mpx_depot_wants(size_t payload_bytes, const mpx_results_to_t *to)
{
    return payload_bytes > INPUTS_MIN || to->bytes > RESULT_MIN;
}

/* Unless this process lets nobody open its memory. */
static bool can_place(void)
{
    return prctl(PR_GET_DUMPABLE) == 1;
}

static bool is_allocated(const void *at, size_t bytes)
{
    mpx_allocated_t *allocated = mpx_allocated_find(at, bytes);
    mpx_allocated_drop(allocated);
    return allocated != NULL;
}

bool mpx_depot_in_place(const void *in, size_t in_bytes, const void *out, size_t out_bytes,
                        size_t calls)
{
    return in_bytes > INPUTS_MIN && out_bytes > RESULT_MIN && can_place() &&
           is_allocated(in, in_bytes * calls) && is_allocated(out, out_bytes * calls);
}

static mp_rc_t place_inputs(mpx_depot_t *self, mp_bytes_t payload, mpx_stay_t *stay,
                            mpx_place_t *place)
{
    unsigned char *where = NULL;
    if (payload.size <= INPUTS_MIN)
        return MP_OK;
    mp_rc_t rc = hold(self, payload.data, payload.size, &stay->in, place, &where);
    if (rc == MP_OK && where != payload.data)
        memcpy(where, payload.data, payload.size);
    place->bytes = payload.size;
    return rc;
}

static mp_rc_t place_results(mpx_depot_t *self, const mpx_results_to_t *to, mpx_stay_t *stay,
                             mpx_place_t *place)
{
    if (to->bytes <= RESULT_MIN)
        return MP_OK;
    place->bytes = (uint64_t)to->bytes * stay->count;
    stay->result_bytes = to->bytes;
    return hold(self, to->at, place->bytes, &stay->out, place, &stay->results);
}

mp_rc_t mpx_depot_place(mpx_depot_t *self, const mpx_header_t *submit, mp_bytes_t payload,
                        const mpx_results_to_t *to, mpx_stay_t **out, mpx_placement_t *placement)
{
    if (!can_place())
        return MP_EPERM;
    mpx_stay_t *stay = calloc(1, sizeof *stay);
    if (!stay)
        return MP_ENOMEM;
    stay->chunk = submit->chunk;
    stay->first = submit->first;
    stay->count = submit->count;
    self->stays++;
    *placement = (mpx_placement_t){0};
    mp_rc_t rc = place_inputs(self, payload, stay, &placement->in);
    if (rc == MP_OK)
        rc = place_results(self, to, stay, &placement->out);
    if (rc != MP_OK) {
        mpx_depot_release(self, stay);
        return rc;
    }
    *out = stay;
    return MP_OK;
}

const unsigned char *mpx_stay_values(const mpx_stay_t *self, uint64_t first, uint32_t count)
{
    if (!self->result_bytes || first < self->first || first - self->first > self->count ||
        count > self->count - (first - self->first))
        return NULL;
    return self->results + (first - self->first) * self->result_bytes;
}

void mpx_depot_release(mpx_depot_t *self, mpx_stay_t *stay)
{
    let_go(self, &stay->in);
    let_go(self, &stay->out);
    free(stay);
    if (--self->stays == 0)
        trim(self, self->idle_max);
}
