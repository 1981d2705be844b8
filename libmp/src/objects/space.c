#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

/* ---- methods
 * ------------------------------------------------------------------------------------------- */

typedef struct row {
    const char *name;
    unsigned types;
    unsigned traits;
    mpx_handler_t *handler;
} row_t;

static const row_t methods[MPX_METHODS] = {
#define MPX_METHOD_ROW(name, number, types, traits)                                                \
    [number] = {#name, types, traits, mpx_do_##name},
    MPX_METHOD_MAP(MPX_METHOD_ROW)
#undef MPX_METHOD_ROW
};

const char *mpx_method_name(unsigned method)
{
    return method < MPX_METHODS && methods[method].name ? methods[method].name : "?";
}

unsigned mpx_method_traits(unsigned method)
{
    return method < MPX_METHODS ? methods[method].traits : 0;
}

/* ---- arguments and results
 * ------------------------------------------------------------------------------- */

static mp_rc_t missing(mp_rc_t rc)
{
    return rc == MP_EOF ? mpx_fault(MP_EINVAL, "an argument is missing") : rc;
}

mp_rc_t mpx_act_item(mpx_act_t *act, uint32_t *kind, mp_bytes_t *out)
{
    return missing(mpx_parcel_next(&act->arguments, kind, out));
}

mp_rc_t mpx_act_number(mpx_act_t *act, uint64_t *out)
{
    mp_rc_t rc = missing(mpx_parcel_next_number(&act->arguments, out));
    return rc == MP_EPROTO ? MP_EINVAL : rc;
}

mp_rc_t mpx_act_bytes(mpx_act_t *act, mp_bytes_t *out)
{
    uint32_t kind;
    mp_rc_t rc = mpx_act_item(act, &kind, out);
    return rc == MP_OK && kind != MP_ITEM_BYTES ? mpx_fault(MP_EINVAL, "bytes are wanted") : rc;
}

mp_rc_t mpx_act_tree(mpx_act_t *act, mp_bytes_t *out)
{
    uint32_t kind;
    mp_rc_t rc = mpx_act_item(act, &kind, out);
    if (rc != MP_OK)
        return rc;
    if (kind != MP_ITEM_TREE || mpx_node_check(*out, NULL) != MP_OK)
        return mpx_fault(MP_EINVAL, "a value tree is wanted");
    return MP_OK;
}

mp_rc_t mpx_act_key(mpx_act_t *act, mp_bytes_t *out)
{
    mp_rc_t rc = mpx_act_tree(act, out);
    if (rc != MP_OK)
        return rc;
    return mpx_node_is_scalar(*out) && out->size <= MPX_KEY_MAX
               ? MP_OK
               : mpx_fault(MP_EINVAL, "a key is a scalar of at most %d bytes", MPX_KEY_MAX);
}

mp_rc_t mpx_act_thing(mpx_act_t *act, mpx_thing_t **out)
{
    uint32_t kind;
    mp_bytes_t bytes;
    mp_rc_t rc = mpx_act_item(act, &kind, &bytes);
    return rc == MP_OK ? mpx_thing_new(act->space, act->object, kind, bytes, out) : rc;
}

mp_rc_t mpx_act_add_number(mpx_act_t *act, uint64_t number)
{
    return mpx_parcel_add_number(act->out, number);
}

mp_rc_t mpx_act_add_tree(mpx_act_t *act, mp_bytes_t node)
{
    return mpx_parcel_add(act->out, MP_ITEM_TREE, node);
}

mp_rc_t mpx_act_answer(mpx_act_t *act, mpx_buf_t *tree, mp_rc_t rc, const char *cure)
{
    if (rc == MP_ETOOLARGE)
        rc = mpx_fault(rc, "it is larger than one answer may be: %s", cure);
    if (rc == MP_OK)
        rc = mpx_act_add_tree(act, mpx_buf_bytes(tree));
    mpx_buf_free(tree);
    return rc;
}

/* ---- one operation
 * ------------------------------------------------------------------------------------------ */

mp_rc_t mpx_guard_check(const mpx_space_t *space, const mpx_guard_t *self)
{
    if (!self->lock)
        return MP_OK;
    mpx_object_t *lock = mpx_object_find(space, self->lock);
    if (lock && MPX_T(lock->type) & MPX_T_LOCKED)
        lock = mpx_lock_of(lock);
    else
        lock = NULL;
    if (lock && lock->as.lock.holder && lock->as.lock.token == self->token)
        return MP_OK;
    return mpx_fault(MP_ESTALE, "the lock that guards it isn't held any more%s%s",
                     lock && lock->as.lock.holder ? ": it is held by " : "",
                     lock && lock->as.lock.holder ? lock->as.lock.holder->name : "");
}

/* A guarded change needs its lock's hold to be the one that it names. */
static mp_rc_t take_guard(mpx_act_t *act, bool guarded)
{
    mpx_guard_t guard;
    mp_rc_t rc = mpx_act_number(act, &guard.lock);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &guard.token);
    if (rc != MP_OK || !guarded)
        return rc;
    if (!guard.lock)
        return mpx_fault(MP_ESTALE, "the guard names no lock");
    act->guard = guard;
    return mpx_guard_check(act->space, &guard);
}

/* What changes nothing that is stored, but what others see or wait for. */
static bool has_effect(unsigned method)
{
    return method == MPX_UNIT_RELEASE || method == MPX_CONDITION_NOTIFY ||
           method == MPX_BARRIER_WAIT || method == MPX_BARRIER_ABORT ||
           method == MPX_BARRIER_RESET || method == MPX_CUSTOM_CALL;
}

/* Making an object may turn out to be opening one, which is looked at there. */
static mp_rc_t check_role(const mpx_act_t *act, const row_t *row, unsigned method)
{
    if (!*act->tenant->restricted || method == MPX_MAKE)
        return MP_OK;
    return row->traits & (MPX_CHANGES | MPX_HOLDS) || has_effect(method)
               ? mpx_space_refuse(act->tenant)
               : MP_OK;
}

mp_rc_t mpx_space_refuse(const mpx_tenant_t *tenant)
{
    return mpx_fault(MP_EPERM, "the key '%s' may only look at objects: it lacks the role write",
                     tenant->restricted);
}

static mp_rc_t check_object(mpx_act_t *act, const row_t *row, uint64_t id, unsigned method)
{
    if (!row)
        return mpx_fault(MP_EINVAL, "no operation has the number %u", method);
    bool of_manager = row->types == MPX_T_NONE;
    if (of_manager != (id == 0))
        return mpx_fault(MP_EINVAL, "%s is %s", row->name,
                         of_manager ? "the manager's" : "an object's");
    act->object = id ? mpx_object_find(act->space, id) : NULL;
    if (id && !act->object && row->handler == mpx_do_DROP)
        mpx_tenant_drop(act->space, act->tenant, id);
    if (id && !act->object)
        return mpx_fault(MP_ENOTFOUND, "the object isn't there any more");
    if (id && !(MPX_T(act->object->type) & row->types))
        return mpx_fault(MP_EINVAL, "%s is nothing for a %s", row->name,
                         mp_object_type_name(act->object->type));
    return MP_OK;
}

mp_rc_t mpx_space_check_disk(const mpx_space_t *self)
{
    return self->now >= self->refuse_until
               ? MP_OK
               : mpx_fault(self->refuse_why, "the manager can't store changes now");
}

/* Changes of several entries that fail half-way are undone: so each operation is all or nothing. */
static int run(mpx_act_t *act, const row_t *row)
{
    mpx_journal_t *journal = &act->space->journal;
    size_t mark = journal->count;
    bool was_on = journal->on;
    bool many = row->traits & MPX_CHANGES && !(row->traits & (MPX_WAITS | MPX_LAST)) &&
                row->handler != mpx_do_MAKE && row->handler != mpx_do_DELETE;
    if (many)
        journal->on = true;
    int rc = row->handler(act);
    if (rc != MP_OK && many)
        mpx_journal_undo(act->space, mark);
    journal->on = was_on;
    if (!was_on)
        mpx_journal_drop(act->space, mark);
    return rc;
}

int mpx_space_carry_out(mpx_space_t *space, mpx_tenant_t *tenant, uint64_t number,
                        const mpx_operation_t *operation, bool atomic, mpx_buf_t *out)
{
    unsigned method = operation->method;
    const row_t *row = method < MPX_METHODS && methods[method].name ? &methods[method] : NULL;
    mpx_act_t act = {
        .space = space,
        .tenant = tenant,
        .number = number,
        .arguments = operation->arguments,
        .wait_ms = operation->wait_ms,
        .atomic = atomic,
        .out = out,
    };
    space->operations++;
    mp_rc_t rc = check_object(&act, row, operation->object, method);
    if (rc == MP_OK && atomic && row->traits & MPX_ALONE)
        rc = mpx_fault(MP_EINVAL, "%s can't be within an atomic", row->name);
    if (rc == MP_OK)
        rc = check_role(&act, row, method);
    if (rc == MP_OK && operation->flags & MPX_OPERATION_GUARDED)
        rc = take_guard(&act, row->traits & (MPX_CHANGES | MPX_GUARDED));
    if (rc == MP_OK)
        rc = row->traits & MPX_CHANGES && row->handler != mpx_do_MAKE ? mpx_space_check_disk(space)
                                                                      : MP_OK;
    return rc == MP_OK ? run(&act, row) : (int)rc;
}

/* ---- of the manager
 * -------------------------------------------------------------------------------------------- */

/* Appended to `out`: the answer to one operation. */
static mp_rc_t add_answer(mpx_buf_t *out, mp_rc_t rc, const mpx_buf_t *results)
{
    uint8_t head[MPX_ANSWER_HEAD];
    const char *words = rc == MP_OK ? "" : mp_errmsg();
    mpx_buf_t failure = {0};
    if (rc != MP_OK && mpx_parcel_add(&failure, 0, (mp_bytes_t){words, strlen(words)}) == MP_OK)
        results = &failure;
    mpx_answer_head(head, rc, results->size);
    mp_rc_t added = mpx_buf_add(out, head, sizeof head);
    if (added == MP_OK)
        added = mpx_buf_add(out, results->data, results->size);
    mpx_buf_free(&failure);
    return added;
}

/* Operations as one. failed  what the first that failed did; the answers say so
 * MP_OK; MP_EINVAL no operations; MP_ETOOLARGE the answers; MP_ENOMEM: then nothing is answered. */
static mp_rc_t carry_out_as_one(mpx_act_t *act, mp_bytes_t operations, mpx_buf_t *answers,
                                mp_rc_t *failed)
{
    mpx_operation_t operation;
    mpx_buf_t results = {0};
    mp_rc_t rc = MP_OK;
    while (rc == MP_OK && (rc = mpx_operation_next(&operations, &operation)) == MP_OK) {
        mpx_buf_clear(&results);
        mp_rc_t one;
        if (*failed == MP_OK) {
            operation.wait_ms = 0;
            one = (mp_rc_t)mpx_space_carry_out(act->space, act->tenant, act->number, &operation,
                                               true, &results);
            *failed = one;
        } else {
            one = mpx_fault(MP_ECANCELLED, "another operation failed");
        }
        rc = add_answer(answers, one, &results);
        if (rc == MP_ETOOLARGE)
            rc = mpx_fault(rc, "the answers are larger than one may be");
    }
    mpx_buf_free(&results);
    if (rc == MP_EOF)
        return MP_OK;
    return rc == MP_EPROTO ? mpx_fault(MP_EINVAL, "not a row of operations") : rc;
}

int mpx_do_ATOMIC(mpx_act_t *act)
{
    mpx_journal_t *journal = &act->space->journal;
    size_t mark = journal->count;
    bool was_on = journal->on;
    mp_bytes_t operations;
    mpx_buf_t answers = {.max = MP_VALUE_BYTES_MAX};
    mp_rc_t failed = MP_OK;
    mp_rc_t rc = mpx_act_bytes(act, &operations);
    if (rc != MP_OK)
        return rc;
    journal->on = true;
    rc = carry_out_as_one(act, operations, &answers, &failed);
    if (rc != MP_OK || failed != MP_OK)
        mpx_journal_undo(act->space, mark);
    journal->on = was_on;
    if (!was_on)
        mpx_journal_drop(act->space, mark);
    if (rc == MP_OK)
        rc = mpx_parcel_add(act->out, MP_ITEM_BYTES, mpx_buf_bytes(&answers));
    mpx_buf_free(&answers);
    return rc;
}

int mpx_do_CANCEL(mpx_act_t *act)
{
    uint64_t number;
    mp_rc_t rc = mpx_act_number(act, &number);
    if (rc != MP_OK)
        return rc;
    mpx_wait_t *wait;
    DL_FOREACH2(act->tenant->waits, wait, next_of)
    if (wait->number == number) {
        mpx_wait_expire(act->space, wait);
        break;
    }
    return MP_OK;
}

static mp_rc_t add_field(mpx_buf_t *out, const char *key, uint64_t number)
{
    mp_rc_t rc = mpx_node_add_str(out, key, strlen(key));
    return rc == MP_OK ? mpx_node_add_int(out, (int64_t)number) : rc;
}

int mpx_do_SERVER(mpx_act_t *act)
{
    const mpx_space_t *space = act->space;
    mpx_buf_t tree = {0};
    const struct {
        const char *key;
        uint64_t number;
    } fields[] = {
        {"objects", HASH_COUNT(space->objects)},
        {"clients", HASH_COUNT(space->tenants)},
        {"waiting", space->waits},
        {"bytes", space->bytes},
        {"max_bytes", space->options.max_bytes},
        {"operations", space->operations},
        {"lease_ms", (uint64_t)(space->options.lease_ns / MPX_MS)},
    };
    size_t count = sizeof fields / sizeof *fields;
    mp_rc_t rc = mpx_node_add_dict(&tree, count + 1);
    for (size_t i = 0; rc == MP_OK && i < count; i++)
        rc = add_field(&tree, fields[i].key, fields[i].number);
    if (rc == MP_OK)
        rc = mpx_node_add_str(&tree, "durable", 7);
    if (rc == MP_OK)
        rc = mpx_node_add_bool(&tree, space->options.durable);
    if (rc == MP_OK)
        rc = mpx_act_add_tree(act, mpx_buf_bytes(&tree));
    mpx_buf_free(&tree);
    return rc;
}

int mpx_do_OBJECTS(mpx_act_t *act)
{
    const mpx_space_t *space = act->space;
    mpx_buf_t tree = {.max = MP_VALUE_BYTES_MAX};
    mp_rc_t rc = mpx_node_add_list(&tree, HASH_COUNT(space->objects));
    for (const mpx_object_t *object = space->objects; rc == MP_OK && object;
         object = object->hh.next)
        rc = mpx_object_describe(space, object, &tree);
    if (rc == MP_OK)
        rc = mpx_act_add_tree(act, mpx_buf_bytes(&tree));
    mpx_buf_free(&tree);
    return rc;
}

/* The result, if there is one, is added to the act's. */
static mp_rc_t call_type(mpx_act_t *act, const mp_method_def_t *method, const mp_tree_t *arguments)
{
    mp_tree_t *result = NULL;
    void *data = NULL;
    size_t size = 0;
    mpx_type_enter(act->space);
    mp_rc_t rc = method->call(act->object->as.custom.self, arguments, &result);
    rc = mpx_type_leave(act->space, act->object->as.custom.type, rc);
    if (rc == MP_OK && result)
        rc = mp_tree_encode(result, NULL, &data, &size);
    if (rc == MP_OK && result)
        rc = mpx_act_add_tree(act, (mp_bytes_t){data, size});
    free(data);
    mp_tree_destroy(&result);
    return rc;
}

int mpx_do_CUSTOM_CALL(mpx_act_t *act)
{
    mp_bytes_t name, tree = {NULL, 0};
    mp_tree_t *arguments = NULL;
    const mp_object_type_def_t *type = act->object->as.custom.type;
    mp_rc_t rc = mpx_act_bytes(act, &name);
    if (rc == MP_OK && act->arguments.size)
        rc = mpx_act_tree(act, &tree);
    if (rc != MP_OK)
        return rc;
    size_t i = 0;
    while (i < type->methods_count && (strlen(type->methods[i].name) != name.size ||
                                       memcmp(type->methods[i].name, name.data, name.size) != 0))
        i++;
    if (i == type->methods_count)
        return mpx_fault(MP_ENOTFOUND, "a %s has no method '%.*s'", type->name, (int)name.size,
                         (const char *)name.data);
    if (tree.size)
        rc = mp_tree_decode(tree.data, tree.size, NULL, &arguments);
    if (rc == MP_OK)
        rc = call_type(act, &type->methods[i], arguments);
    mp_tree_destroy(&arguments);
    if (rc == MP_OK)
        mpx_object_touch(act->space, act->object);
    return rc;
}

/* ---- time
 * -----------------------------------------------------------------------------------------------------
 */

int64_t mpx_space_deadline(const mpx_space_t *self)
{
    const mpx_heap_node_t *first = mpx_heap_first(&self->timers);
    return first ? first->at : MPX_NEVER;
}

static void lease_is_due(mpx_space_t *space, mpx_tenant_t *tenant)
{
    int64_t until = tenant->heard_at + space->options.lease_ns;
    bool silent = !tenant->tag || until <= space->now;
    if (tenant->tag && !mpx_tenant_has_stake(tenant))
        return;
    if (silent)
        mpx_tenant_over(space, tenant, MP_ELEASE);
    else
        (void)mpx_heap_set(&space->timers, &tenant->lease.node, until);
}

/* An end is a change, and is stored. Where that can't be it is tried again. */
static void object_is_due(mpx_space_t *space, mpx_timer_t *timer)
{
    mpx_object_t *object = timer->of;
    /* Should it come back, its time is over still. */
    if (timer == &object->expiry)
        (void)mpx_heap_set(&space->timers, &timer->node, space->now + MPX_S);
    if (space->now < space->refuse_until || mpx_object_finish(space, object) != MP_OK)
        (void)mpx_heap_set(&space->timers, &timer->node, space->now + MPX_S);
}

static void pair_is_due(mpx_space_t *space, mpx_timer_t *timer)
{
    if (space->now < space->refuse_until ||
        mpx_map_remove(space, timer->object, timer->of) != MP_OK)
        (void)mpx_heap_set(&space->timers, &timer->node, space->now + MPX_S);
}

void mpx_space_tick(mpx_space_t *space, int64_t now)
{
    mpx_heap_node_t *first;
    space->now = now;
    while ((first = mpx_heap_first(&space->timers)) && first->at <= now) {
        mpx_timer_t *timer = (mpx_timer_t *)(void *)first;
        mpx_heap_remove(&space->timers, first);
        switch (timer->kind) {
        case MPX_TIMER_WAIT:
            mpx_wait_expire(space, timer->of);
            break;
        case MPX_TIMER_LEASE:
            lease_is_due(space, timer->of);
            break;
        case MPX_TIMER_LINGER:
        case MPX_TIMER_OBJECT:
            object_is_due(space, timer);
            break;
        case MPX_TIMER_PAIR:
            pair_is_due(space, timer);
            break;
        }
    }
    mpx_space_serve(space);
}

/* ---- life
 * -------------------------------------------------------------------------------------------------------
 */

mp_rc_t mpx_space_new(const mpx_space_options_t *options, mpx_space_t **out)
{
    enum { TENANTS = 65536, HANDLES = 65536, WAITS = 4096, WINDOW = 16 << 20, MEMORY = 1 << 30 };
    mpx_space_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a space of objects");
    mpx_space_options_t *own = &self->options;
    *own = *options;
    own->lease_ns = own->lease_ns ? own->lease_ns : 3 * MPX_S;
    own->linger_ns = own->linger_ns ? own->linger_ns : 10 * MPX_S;
    own->max_bytes = own->max_bytes ? own->max_bytes : MEMORY;
    own->max_tenants = own->max_tenants ? own->max_tenants : TENANTS;
    own->max_handles = own->max_handles ? own->max_handles : HANDLES;
    own->max_waits = own->max_waits ? own->max_waits : WAITS;
    own->answer_bytes = own->answer_bytes ? own->answer_bytes : WINDOW;
    own->operation_bytes = own->operation_bytes ? own->operation_bytes : WINDOW;
    /* Numbers begin with the time in microseconds: so they rise over restarts as well. */
    self->counter = (uint64_t)(own->wall_ms + own->born_at / MPX_MS) * 1000;
    self->journal.on = own->durable;
    self->batch = 1;
    *out = self;
    return MP_OK;
}

void mpx_space_destroy(mpx_space_t **self_p)
{
    mpx_space_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    mpx_tenant_t *tenant, *next;
    HASH_ITER (hh, self->tenants, tenant, next)
        mpx_space_go(self, self->now, tenant, false);
    mpx_space_effect_t effect;
    while (mpx_space_next(self, &effect))
        ;
    mpx_journal_drop(self, 0);
    self->journal.on = false;
    while (self->objects) {
        mpx_object_t *object = self->objects;
        mpx_object_end(self, object, MP_ECLOSED);
        mpx_object_free(self, object);
    }
    free(self->journal.records);
    mpx_heap_free(&self->timers);
    mpx_buf_free(&self->results);
    mpx_buf_free(&self->scratch);
    mpx_buf_free(&self->outgoing);
    free(self);
}

uint64_t mpx_space_server(const mpx_space_t *self)
{
    return self->options.server;
}

void mpx_space_count(const mpx_space_t *self, mpx_space_counts_t *out)
{
    *out = (mpx_space_counts_t){
        .objects = HASH_COUNT(self->objects),
        .tenants = HASH_COUNT(self->tenants),
        .waits = self->waits,
        .bytes = self->bytes,
        .operations = self->operations,
    };
    for (const mpx_object_t *object = self->objects; object; object = object->hh.next) {
        if (MPX_T(object->type) & (MPX_T_LOCK | MPX_T_UNITS))
            out->lock_waits += object->waits_count;
        out->locks_held += (MPX_T(object->type) & MPX_T_LOCK) && object->as.lock.holder;
    }
}
