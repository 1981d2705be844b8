#include "keeper.h"

#include "clock.h"
#include "fault.h"
#include "gather.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct mpx_keeper {
    mpx_keeper_options_t options;
    mpx_space_t *space;
    mpx_store_t *store; /* NULL: in memory only */
    void *module;
    bool was_full; /* told about once, until it is not */
    mpx_gather_t gather;
};

/* ---- what must last
 * ------------------------------------------------------------------------------- */

static mpx_bucket_t bucket_of(mpx_shelf_t shelf)
{
    static const mpx_bucket_t buckets[] = {[MPX_SHELF_META] = MPX_BUCKET_META,
                                           [MPX_SHELF_OBJECT] = MPX_BUCKET_OBJECT,
                                           [MPX_SHELF_ENTRY] = MPX_BUCKET_ENTRY};
    return buckets[shelf];
}

static mp_rc_t put(void *arg, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value)
{
    return mpx_store_put(arg, bucket_of(shelf), key, value);
}

static mp_rc_t del(void *arg, mpx_shelf_t shelf, mp_bytes_t key)
{
    return mpx_store_del(arg, bucket_of(shelf), key);
}

static mp_rc_t del_all(void *arg, mpx_shelf_t shelf, mp_bytes_t prefix)
{
    return mpx_store_del_all(arg, bucket_of(shelf), prefix);
}

static void tell_of_disk(mpx_keeper_t *self, mp_rc_t rc)
{
    bool full = rc != MP_OK;
    if (full == self->was_full)
        return;
    self->was_full = full;
    mpx_log(self->options.log, full ? MP_LOG_ERROR : MP_LOG_INFO,
            full ? "data_refused" : "data_stored", "data", self->options.data, "why",
            full ? mp_errmsg() : "there is room again", NULL);
}

static mp_rc_t commit_once(mpx_keeper_t *self)
{
    const mpx_pen_t pen = {.arg = self->store, .put = put, .del = del, .del_all = del_all};
    bool changed = mpx_space_is_changed(self->space);
    int64_t from = mpx_now();
    mp_rc_t rc = changed ? mpx_space_write(self->space, &pen) : MP_OK;
    if (rc == MP_OK)
        rc = mpx_store_commit(self->store);
    else
        mpx_store_abort(self->store);
    tell_of_disk(self, rc);
    self->options.committed(self->options.committed_arg, rc, mpx_now() - from);
    if (changed)
        mpx_space_committed(self->space, mpx_now(), rc);
    return rc;
}

/* Serving those who waited for a change may change something again. */
static mp_rc_t commit(mpx_keeper_t *self)
{
    if (!self->store || !(mpx_space_is_changed(self->space) || mpx_store_is_changed(self->store)))
        return MP_OK;
    int64_t from = mpx_now();
    bool shared = mpx_space_is_changed(self->space); /* else it is others' alone */
    mp_rc_t first = commit_once(self);
    int64_t now = mpx_now();
    if (shared)
        mpx_gather_committed(&self->gather, now, now - from);
    mp_rc_t rc = first;
    while (rc == MP_OK && mpx_space_is_changed(self->space))
        rc = commit_once(self);
    return first;
}

typedef struct reading {
    mpx_space_t *space;
    mpx_shelf_t shelf;
} reading_t;

static mp_rc_t load_one(void *arg, mp_bytes_t key, mp_bytes_t value)
{
    const reading_t *reading = arg;
    return mpx_space_load(reading->space, reading->shelf, key, value);
}

static mp_rc_t load(mpx_keeper_t *self)
{
    mp_rc_t rc = MP_OK;
    for (int shelf = MPX_SHELF_META; rc == MP_OK && shelf <= MPX_SHELF_ENTRY; shelf++) {
        reading_t reading = {self->space, (mpx_shelf_t)shelf};
        rc = mpx_store_read(self->store, bucket_of((mpx_shelf_t)shelf), load_one, &reading);
    }
    return rc == MP_OK ? mpx_space_loaded(self->space, mpx_now()) : rc;
}

/* ---- life
 * -----------------------------------------------------------------------------------------------
 */

/* The module registers its types with the library that it is linked to, which tells them, and has
 * the words of what they fail with. */
static mp_rc_t load_types(mpx_keeper_t *self, mpx_space_options_t *out)
{
    typedef const mp_object_type_def_t *const *types_t(void);
    if (!self->options.types)
        return MP_OK;
    self->module = dlopen(self->options.types, RTLD_NOW | RTLD_GLOBAL);
    if (!self->module)
        return mpx_fault(MP_EMODULE, "%s", dlerror());
    void *symbol = dlsym(self->module, "mp_object_types");
    types_t *types;
    *(void **)&types = symbol;
    *(void **)&out->types_words = dlsym(self->module, "mp_errmsg");
    *(void **)&out->types_fail = dlsym(self->module, "mp_type_fail");
    if (!symbol || !(out->types = types()))
        return mpx_fault(MP_EMODULE, "%s has no types: it needs MP_OBJECT_TYPE, and -lmp",
                         self->options.types);
    return MP_OK;
}

static mp_rc_t make_space(mpx_keeper_t *self)
{
    struct timespec wall;
    int64_t now = mpx_now();
    clock_gettime(CLOCK_REALTIME, &wall);
    mpx_space_options_t options = {
        .lease_ns = self->options.lease_ms * MPX_MS,
        .max_bytes = self->options.max_bytes,
        .born_at = now,
        .wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / MPX_MS - now / MPX_MS,
        .durable = self->store != NULL,
    };
    if (getrandom(&options.server, sizeof options.server, 0) != sizeof options.server)
        return mpx_fault_errno("random bytes");
    mp_rc_t rc = load_types(self, &options);
    return rc == MP_OK ? mpx_space_new(&options, &self->space) : rc;
}

mp_rc_t mpx_keeper_new(const mpx_keeper_options_t *options, mpx_keeper_t **out)
{
    mpx_keeper_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a keeper of objects");
    self->options = *options;
    mpx_store_options_t store = {.directory = options->data};
    mp_rc_t rc = options->data ? mpx_store_open(&store, &self->store) : MP_OK;
    if (rc == MP_OK)
        rc = make_space(self);
    if (rc == MP_OK && self->store)
        rc = load(self);
    if (rc != MP_OK)
        mpx_keeper_destroy(&self);
    else
        *out = self;
    return rc;
}

void mpx_keeper_destroy(mpx_keeper_t **self_p)
{
    mpx_keeper_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_space_destroy(&self->space);
    mpx_store_close(&self->store);
    if (self->module)
        dlclose(self->module);
    free(self);
}

/* ---- those who come
 * ----------------------------------------------------------------------------------------- */

mp_rc_t mpx_keeper_let_in(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer,
                          const mpx_knock_t *knock, mpx_admit_t *out)
{
    uint64_t secret = knock->tenant_secret;
    mpx_tenant_t *tenant =
        knock->tenant ? mpx_space_find(self->space, knock->tenant, secret) : NULL;
    if (knock->door != MPX_DOOR_MANAGER || knock->object != 0)
        return mpx_fault(MP_ENOTFOUND, "a broker has objects, but no queues or listeners");
    out->resumed = tenant != NULL;
    if (tenant) {
        mpx_space_attach(self->space, now, tenant, peer);
    } else {
        if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
            return mpx_fault_errno("random bytes");
        mp_rc_t rc = mpx_space_come(self->space, now, peer->name, secret, peer, &tenant);
        if (rc != MP_OK)
            return rc;
    }
    peer->tenant = tenant;
    mpx_keeper_restrict(self, peer);
    out->tenant = mpx_tenant_number(tenant);
    out->secret = mpx_tenant_secret(tenant);
    out->server = mpx_space_server(self->space);
    out->lease_ms = (uint32_t)self->options.lease_ms;
    return MP_OK;
}

void mpx_keeper_restrict(mpx_keeper_t *self, mpx_peer_t *peer)
{
    (void)self;
    if (peer->tenant)
        mpx_tenant_restrict(peer->tenant,
                            mpx_peer_may(peer, MPX_MAY_WRITE) ? NULL : peer->key_name);
}

mp_rc_t mpx_keeper_message(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer,
                           const mpx_header_t *header, mp_bytes_t payload)
{
    if (header->op != MPX_OP_CALL)
        return mpx_fault(MP_EPROTO, "a %s is nothing for a manager", mpx_op_name(header->op));
    if (!peer->tenant)
        return MP_OK; /* it is over, and being told so */
    mp_rc_t rc = mpx_space_call(self->space, now, peer->tenant, header->first, header->count,
                                header->nonce, payload);
    if (header->count && mpx_space_is_changed(self->space))
        mpx_gather_hear(&self->gather);
    return rc;
}

void mpx_keeper_gone(mpx_keeper_t *self, int64_t now, mpx_peer_t *peer, bool said_so,
                     bool may_return)
{
    mpx_tenant_t *tenant = peer->tenant;
    peer->tenant = NULL;
    if (!tenant)
        return;
    if (may_return && !said_so)
        mpx_space_detach(self->space, now, tenant);
    else
        mpx_space_go(self->space, now, tenant, said_so);
}

bool mpx_keeper_wants_more(const mpx_keeper_t *self)
{
    return self->store && mpx_space_is_changed(self->space) &&
           mpx_gather_wants(&self->gather, mpx_now());
}

int64_t mpx_keeper_deadline(const mpx_keeper_t *self)
{
    return mpx_space_deadline(self->space);
}

mpx_store_t *mpx_keeper_store(const mpx_keeper_t *self)
{
    return self->store;
}

mp_rc_t mpx_keeper_settle(mpx_keeper_t *self, int64_t now,
                          void (*send)(mpx_peer_t *peer, const mpx_header_t *header,
                                       mp_bytes_t payload),
                          void (*over)(mpx_peer_t *peer, mp_rc_t why))
{
    mpx_space_effect_t effect;
    if (mpx_space_deadline(self->space) <= now)
        mpx_space_tick(self->space, now);
    mp_rc_t rc = commit(self);
    while (mpx_space_next(self->space, &effect)) {
        mpx_peer_t *peer = effect.tag;
        mpx_header_t header = {.op = MPX_OP_ANSWER,
                               .first = effect.first,
                               .count = effect.count,
                               .nonce = effect.position};
        if (effect.over != MP_OK) {
            peer->tenant = NULL;
            over(peer, effect.over);
        } else {
            send(peer, &header, effect.answers);
        }
    }
    return rc;
}

void mpx_keeper_count(const mpx_keeper_t *self, mpx_space_counts_t *out)
{
    mpx_space_count(self->space, out);
}
