/* shelf.c: objects: how they are made, found and kept alive, and how they end. */
#include "space_private.h"

#include "clock.h"
#include "fault.h"
#include "reference.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mp_object_type_name(mp_object_type_t type)
{
    static const char *const names[MP_OBJECT_TYPES] = {
        [MP_OBJECT_DICT] = "dict",
        [MP_OBJECT_LIST] = "list",
        [MP_OBJECT_SET] = "set",
        [MP_OBJECT_NAMESPACE] = "namespace",
        [MP_OBJECT_VALUE] = "value",
        [MP_OBJECT_ARRAY] = "array",
        [MP_OBJECT_QUEUE] = "queue",
        [MP_OBJECT_JOINABLE_QUEUE] = "joinable queue",
        [MP_OBJECT_LOCK] = "lock",
        [MP_OBJECT_RLOCK] = "rlock",
        [MP_OBJECT_SEMAPHORE] = "semaphore",
        [MP_OBJECT_BOUNDED_SEMAPHORE] = "bounded semaphore",
        [MP_OBJECT_EVENT] = "event",
        [MP_OBJECT_CONDITION] = "condition",
        [MP_OBJECT_BARRIER] = "barrier",
        [MP_OBJECT_CUSTOM] = "custom object",
    };
    return type > 0 && type < MP_OBJECT_TYPES ? names[type] : "?";
}

/* ---- lists
 * ------------------------------------------------------------------------------------------ */

mpx_object_t *mpx_object_find(const mpx_space_t *space, uint64_t id)
{
    mpx_object_t *object = NULL;
    HASH_FIND(hh, space->objects, &id, sizeof id, object);
    return object;
}

static mpx_object_t *find_name(const mpx_space_t *space, mp_bytes_t name)
{
    mpx_object_t *object = NULL;
    HASH_FIND(by_name, space->names, name.data, name.size, object);
    return object;
}

/* One that has ended is found by what still counts it. */
mpx_object_t *mpx_object_find_any(const mpx_space_t *space, uint64_t id)
{
    mpx_object_t *object = mpx_object_find(space, id);
    if (!object)
        HASH_FIND(hh, space->ended, &id, sizeof id, object);
    return object;
}

void mpx_object_relist(mpx_space_t *space, mpx_object_t *self)
{
    HASH_DEL(space->ended, self);
    self->ended = false;
    HASH_ADD(hh, space->objects, id, sizeof self->id, self);
    if (self->name)
        HASH_ADD_KEYPTR(by_name, space->names, self->name, strlen(self->name), self);
}

mpx_object_t *mpx_object_new(mpx_space_t *space, uint64_t id, mp_object_type_t type)
{
    mpx_object_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->id = id;
    self->type = type;
    self->version = id;
    self->expiry = (mpx_timer_t){.kind = MPX_TIMER_OBJECT, .of = self};
    self->linger = (mpx_timer_t){.kind = MPX_TIMER_LINGER, .of = self};
    HASH_ADD(hh, space->objects, id, sizeof self->id, self);
    if (!self->unlisted)
        return self;
    free(self);
    return NULL;
}

mp_rc_t mpx_object_set_name(mpx_space_t *space, mpx_object_t *self, mp_bytes_t name)
{
    self->name = malloc(name.size + 1);
    if (!self->name)
        return mpx_fault(MP_ENOMEM, "an object's name");
    memcpy(self->name, name.data, name.size);
    self->name[name.size] = 0;
    HASH_ADD_KEYPTR(by_name, space->names, self->name, name.size, self);
    if (!self->unlisted)
        return MP_OK;
    free(self->name);
    self->name = NULL;
    self->unlisted = false;
    return mpx_fault(MP_ENOMEM, "an object's name");
}

/* ---- bytes
 * ---------------------------------------------------------------------------------------------
 */

mp_rc_t mpx_space_room(const mpx_space_t *self, size_t more)
{
    if (self->bytes + self->parked + more > self->options.max_bytes)
        return mpx_fault(MP_ELIMIT, "all objects together may have %zu bytes, and have %zu",
                         self->options.max_bytes, self->bytes + self->parked);
    return MP_OK;
}

mp_rc_t mpx_object_room(const mpx_space_t *space, const mpx_object_t *self, size_t bytes_now,
                        size_t bytes_then, size_t items_then)
{
    if (space->loading) /* it was there */
        return MP_OK;
    if (self->max_items && items_then > self->max_items)
        return mpx_fault(MP_ELIMIT, "the %s may have %zu items", mp_object_type_name(self->type),
                         self->max_items);
    if (bytes_then <= bytes_now)
        return MP_OK;
    size_t more = bytes_then - bytes_now;
    if (self->max_bytes && self->bytes + more > self->max_bytes)
        return mpx_fault(MP_ELIMIT, "the %s may have %zu bytes, and has %zu",
                         mp_object_type_name(self->type), self->max_bytes, self->bytes);
    return mpx_space_room(space, more);
}

void mpx_object_count_bytes(mpx_space_t *space, mpx_object_t *self, size_t less, size_t more)
{
    self->bytes = self->bytes - less + more;
    space->bytes = space->bytes - less + more;
}

size_t mpx_object_items(const mpx_object_t *self)
{
    unsigned type = MPX_T(self->type);
    if (type & MPX_T_KEYED)
        return mpx_map_len(self);
    if (type & (MPX_T_SEQ | MPX_T_QUEUE))
        return self->as.row.row.count;
    if (self->type == MP_OBJECT_VALUE)
        return self->as.thing != NULL;
    return (size_t)self->value;
}

void mpx_object_touch(mpx_space_t *space, mpx_object_t *self)
{
    self->version = mpx_space_number(space);
    if (self->touched)
        return;
    self->touched = true;
    self->next_touched = space->touched;
    space->touched = self;
}

/* ---- life
 * ---------------------------------------------------------------------------------------------- */

void mpx_object_linger(mpx_space_t *space, mpx_object_t *self)
{
    if (self->name || self->handles || self->inside)
        mpx_heap_remove(&space->timers, &self->linger.node);
    else if (!self->linger.node.slot && !self->ended)
        (void)mpx_heap_set(&space->timers, &self->linger.node,
                           space->now + space->options.linger_ns);
}

void mpx_object_expire_at(mpx_space_t *space, mpx_object_t *self, int64_t at)
{
    if (at)
        (void)mpx_heap_set(&space->timers, &self->expiry.node, at);
    else
        mpx_heap_remove(&space->timers, &self->expiry.node);
}

static void release_holds(mpx_space_t *space, mpx_object_t *self)
{
    if (MPX_T(self->type) & MPX_T_LOCK) {
        if (self->as.lock.holder)
            mpx_lock_free(space, self, false);
    } else if (MPX_T(self->type) & MPX_T_UNITS) {
        while (self->as.units)
            mpx_units_return(space, self->as.units);
    } else if (MPX_T(self->type) & MPX_T_QUEUE) {
        mpx_given_t *given;
        DL_FOREACH (self->as.row.given, given)
            if (given->tenant) {
                DL_DELETE2(given->tenant->given, given, prev_had, next_had);
                given->tenant = NULL;
            }
    }
}

void mpx_object_end(mpx_space_t *space, mpx_object_t *self, mp_rc_t why)
{
    self->ended = true;
    HASH_DEL(space->objects, self);
    HASH_ADD(hh, space->ended, id, sizeof self->id, self);
    if (self->name)
        HASH_DELETE(by_name, space->names, self);
    mpx_heap_remove(&space->timers, &self->expiry.node);
    mpx_heap_remove(&space->timers, &self->linger.node);
    while (self->waits) {
        (void)mpx_fault(why, "the %s is gone", mp_object_type_name(self->type));
        mpx_wait_end(space, self->waits, why, NULL);
    }
}

static void free_row(mpx_space_t *space, mpx_object_t *self)
{
    mpx_row_t *row = &self->as.row.row;
    for (size_t i = 0; i < row->count; i++)
        mpx_thing_free(space, mpx_row_at(row, i)->thing);
    free(row->places);
    mpx_given_t *given, *next;
    DL_FOREACH_SAFE (self->as.row.given, given, next) {
        mpx_thing_free(space, given->thing);
        free(given);
    }
}

static void free_content(mpx_space_t *space, mpx_object_t *self)
{
    unsigned type = MPX_T(self->type);
    mpx_pair_t *pair, *next;
    if (type & MPX_T_KEYED) {
        HASH_ITER (hh, self->as.pairs, pair, next) {
            mpx_map_unlist(self, pair);
            mpx_map_free_pair(space, pair);
        }
    } else if (type & (MPX_T_SEQ | MPX_T_QUEUE)) {
        free_row(space, self);
    } else if (self->type == MP_OBJECT_VALUE) {
        mpx_thing_free(space, self->as.thing);
    } else if (self->type == MP_OBJECT_CONDITION) {
        mpx_condition_join(space, self, NULL);
    } else if (type & MPX_T_LOCK) {
        while (self->as.lock.conditions)
            mpx_condition_join(space, self->as.lock.conditions, NULL);
    } else if (self->type == MP_OBJECT_CUSTOM && self->as.custom.type) {
        if (self->as.custom.type->destroy)
            self->as.custom.type->destroy(self->as.custom.self);
    }
}

static void unlist_touched(mpx_space_t *space, const mpx_object_t *self)
{
    mpx_object_t **at = &space->touched;
    while (*at && *at != self)
        at = &(*at)->next_touched;
    if (*at)
        *at = self->next_touched;
}

void mpx_object_free(mpx_space_t *space, mpx_object_t *self)
{
    release_holds(space, self);
    if (self->touched)
        unlist_touched(space, self);
    if (!self->unlisted) /* it is listed among the ended ones */
        HASH_DEL(space->ended, self);
    free_content(space, self);
    space->bytes -= self->bytes;
    free(self->name);
    free(self);
}

/* It ends for whoever has it, and for good once that is stored. A condition ends before its lock,
 * so that its end is undone later. */
mp_rc_t mpx_object_finish(mpx_space_t *space, mpx_object_t *self)
{
    mp_rc_t rc = MP_OK;
    mpx_object_t *condition = NULL, *next;
    if (MPX_T(self->type) & MPX_T_LOCK)
        condition = self->as.lock.conditions;
    for (; rc == MP_OK && condition; condition = next) {
        next = condition->as.condition.next;
        if (!condition->ended)
            rc = mpx_object_finish(space, condition);
    }
    if (rc == MP_OK)
        rc = mpx_journal_room(space);
    if (rc != MP_OK)
        return rc;
    mpx_undo_t undo = {MPX_UNDO_ENDED, .object = self,
                       .at = self->expiry.node.slot ? self->expiry.node.at : 0};
    mpx_object_end(space, self, MP_ENOTFOUND);
    mpx_journal_note(space, &undo);
    return MP_OK;
}

/* ---- handles
 * --------------------------------------------------------------------------------------------- */

mp_rc_t mpx_tenant_hold(mpx_space_t *space, mpx_tenant_t *self, mpx_object_t *object)
{
    mpx_handle_t *handle = NULL;
    HASH_FIND(hh, self->handles, &object->id, sizeof object->id, handle);
    if (handle) {
        handle->count++;
        return MP_OK;
    }
    if (HASH_COUNT(self->handles) >= space->options.max_handles)
        return mpx_fault(MP_ELIMIT, "this process has handles on %u objects",
                         HASH_COUNT(self->handles));
    handle = calloc(1, sizeof *handle);
    if (!handle)
        return mpx_fault(MP_ENOMEM, "a handle");
    handle->object = object->id;
    handle->count = 1;
    HASH_ADD(hh, self->handles, object, sizeof handle->object, handle);
    if (handle->unlisted) {
        free(handle);
        return mpx_fault(MP_ENOMEM, "a handle");
    }
    object->handles++;
    mpx_object_linger(space, object);
    return MP_OK;
}

void mpx_tenant_drop(mpx_space_t *space, mpx_tenant_t *self, uint64_t id)
{
    mpx_handle_t *handle = NULL;
    HASH_FIND(hh, self->handles, &id, sizeof id, handle);
    if (!handle || --handle->count > 0)
        return;
    HASH_DEL(self->handles, handle);
    free(handle);
    mpx_object_t *object = mpx_object_find_any(space, id);
    if (!object)
        return;
    object->handles--;
    mpx_object_linger(space, object);
}

/* ---- MAKE
 * --------------------------------------------------------------------------------------------------
 */

typedef struct making {
    uint64_t type, flags, ttl_ms, max_items, max_bytes, value, lock, typecode;
    mp_bytes_t name, custom, initial;
} making_t;

static mp_rc_t read_making(mpx_act_t *act, making_t *out)
{
    *out = (making_t){.type = 0};
    mp_rc_t rc = mpx_act_number(act, &out->type);
    if (rc == MP_OK)
        rc = mpx_act_number(act, &out->flags);
    if (rc == MP_OK)
        rc = mpx_act_bytes(act, &out->name);
    uint64_t *numbers[] = {&out->ttl_ms, &out->max_items, &out->max_bytes,
                           &out->value,  &out->lock,      &out->typecode};
    for (size_t i = 0; rc == MP_OK && i < sizeof numbers / sizeof *numbers; i++)
        rc = mpx_act_number(act, numbers[i]);
    if (rc == MP_OK)
        rc = mpx_act_bytes(act, &out->custom);
    if (rc == MP_OK && act->arguments.size)
        rc = mpx_act_tree(act, &out->initial);
    if (rc != MP_OK)
        return rc;
    if (out->ttl_ms > MPX_TTL_MS_MAX || out->typecode > CHAR_MAX)
        return mpx_fault(MP_EINVAL, "a time of %llu ms, a type code of %llu",
                         (unsigned long long)out->ttl_ms, (unsigned long long)out->typecode);
    if (out->type == 0 || out->type >= MP_OBJECT_TYPES)
        return mpx_fault(MP_EINVAL, "objects of type %llu aren't known here",
                         (unsigned long long)out->type);
    if (out->name.size > MPX_NAME_MAX ||
        (out->name.size && memchr(out->name.data, 0, out->name.size)))
        return mpx_fault(MP_EINVAL, "a name has 1 to %d bytes, none of them NUL", MPX_NAME_MAX);
    return MP_OK;
}

/* Give the new object what its first MAKE says, by the operations that a client has for it. */
static int fill(mpx_act_t *act, mpx_object_t *object, mp_bytes_t initial)
{
    static const struct {
        mp_object_type_t type;
        mpx_method_t method;
    } fillers[] = {{MP_OBJECT_DICT, MPX_MAP_UPDATE},  {MP_OBJECT_NAMESPACE, MPX_MAP_UPDATE},
                   {MP_OBJECT_LIST, MPX_LIST_EXTEND}, {MP_OBJECT_ARRAY, MPX_LIST_EXTEND},
                   {MP_OBJECT_SET, MPX_SET_UPDATE},   {MP_OBJECT_VALUE, MPX_VALUE_SET}};
    static mpx_handler_t *const handlers[] = {mpx_do_MAP_UPDATE,  mpx_do_MAP_UPDATE,
                                              mpx_do_LIST_EXTEND, mpx_do_LIST_EXTEND,
                                              mpx_do_SET_UPDATE,  mpx_do_VALUE_SET};
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        if (fillers[i].type != object->type)
            continue;
        mpx_buf_t arguments = {0};
        mp_rc_t rc = mpx_parcel_add(&arguments, MP_ITEM_TREE, initial);
        mpx_act_t inner = *act;
        inner.object = object;
        inner.arguments = mpx_buf_bytes(&arguments);
        if (rc == MP_OK)
            rc = (mp_rc_t)handlers[i](&inner);
        mpx_buf_free(&arguments);
        return rc;
    }
    return mpx_fault(MP_EINVAL, "a %s has no initial content", mp_object_type_name(object->type));
}

void mpx_type_enter(const mpx_space_t *space)
{
    (void)(space->options.types_fail ? space->options.types_fail : mpx_fault)(MP_OK, "%s", "");
}

mp_rc_t mpx_type_leave(const mpx_space_t *space, const mp_object_type_def_t *type, mp_rc_t rc)
{
    if (rc == MP_OK)
        return MP_OK;
    char words[512];
    snprintf(words, sizeof words, "%s",
             (space->options.types_words ? space->options.types_words : mp_errmsg)());
    return *words ? mpx_fault(rc, "%s", words)
                  : mpx_fault(rc, "a %s says %s, without words", type->name, mp_errname(rc));
}

static mp_rc_t make_custom(mpx_act_t *act, mpx_object_t *object, const making_t *making)
{
    const mp_object_type_def_t *const *type = act->space->options.types;
    while (type && *type &&
           (strlen((*type)->name) != making->custom.size ||
            memcmp((*type)->name, making->custom.data, making->custom.size) != 0))
        type++;
    if (!type || !*type)
        return mpx_fault(MP_ENOTFOUND,
                         "the manager has no type '%.*s'; its program must register it",
                         (int)making->custom.size, (const char *)making->custom.data);
    mp_tree_t *from = NULL;
    mp_rc_t rc = MP_OK;
    if (making->initial.size)
        rc = mp_tree_decode(making->initial.data, making->initial.size, NULL, &from);
    if (rc == MP_OK && (*type)->create) {
        mpx_type_enter(act->space);
        rc = (*type)->create(from, &object->as.custom.self);
        rc = mpx_type_leave(act->space, *type, rc);
    }
    mp_tree_destroy(&from);
    if (rc == MP_OK)
        object->as.custom.type = *type;
    return rc;
}

static mp_rc_t make_condition(mpx_act_t *act, mpx_object_t *object, uint64_t lock_id)
{
    mp_rc_t rc = mpx_journal_room(act->space);
    if (rc != MP_OK)
        return rc;
    mpx_object_t *lock =
        lock_id ? mpx_object_find(act->space, lock_id)
                : mpx_object_new(act->space, mpx_space_number(act->space), MP_OBJECT_RLOCK);
    if (!lock || !(MPX_T(lock->type) & MPX_T_LOCK))
        return lock ? mpx_fault(MP_EINVAL, "a condition's lock is a Lock or RLock")
                    : mpx_fault(MP_ENOTFOUND, "the condition's lock isn't there");
    mpx_condition_join(act->space, object, lock);
    if (!lock_id)
        mpx_journal_note(act->space, &(mpx_undo_t){MPX_UNDO_MADE, .object = lock});
    return MP_OK;
}

/* An array's items are there before it gets its typecode, so that they could be added. */
static mp_rc_t make_array(mpx_act_t *act, mpx_object_t *object, const making_t *making)
{
    if (!mpx_typecode_is_known((char)making->typecode))
        return mpx_fault(MP_EINVAL, "an array's type code is one of b B h H i I l L q Q f d");
    object->typecode = (char)making->typecode;
    return making->initial.size ? (mp_rc_t)fill(act, object, making->initial)
                                : mpx_fault(MP_EINVAL, "an array is made from a list");
}

static mp_rc_t make_content(mpx_act_t *act, mpx_object_t *object, const making_t *making)
{
    enum { UNITS_MAX = 1 << 30, PARTIES_MAX = 1 << 20 };
    switch (object->type) {
    case MP_OBJECT_SEMAPHORE:
    case MP_OBJECT_BOUNDED_SEMAPHORE:
        if (making->value > UNITS_MAX)
            return mpx_fault(MP_EINVAL, "a semaphore has 0 to %d units", UNITS_MAX);
        object->value = object->bound = (int64_t)making->value;
        return MP_OK;
    case MP_OBJECT_BARRIER:
        if (making->value < 1 || making->value > PARTIES_MAX)
            return mpx_fault(MP_EINVAL, "a barrier has 1 to %d parties", PARTIES_MAX);
        object->value = (int64_t)making->value;
        return MP_OK;
    case MP_OBJECT_CONDITION:
        return make_condition(act, object, making->lock);
    case MP_OBJECT_CUSTOM:
        return make_custom(act, object, making);
    case MP_OBJECT_ARRAY:
        return make_array(act, object, making);
    case MP_OBJECT_VALUE:
        if (making->typecode && !mpx_typecode_is_known((char)making->typecode))
            return mpx_fault(MP_EINVAL, "a value's type code is one of b B h H i I l L q Q f d");
        object->typecode = (char)making->typecode;
        break;
    default:
        break;
    }
    return making->initial.size ? (mp_rc_t)fill(act, object, making->initial) : MP_OK;
}

static mp_rc_t make(mpx_act_t *act, const making_t *making, mpx_object_t **out)
{
    mpx_space_t *space = act->space;
    size_t mark = space->journal.count;
    bool was_on = space->journal.on;
    space->journal.on = true; /* it is made wholly, or not at all */
    mp_rc_t rc = mpx_journal_room(space);
    mpx_object_t *object =
        rc == MP_OK ? mpx_object_new(space, mpx_space_number(space), (mp_object_type_t)making->type)
                    : NULL;
    if (object) {
        mpx_journal_note(space, &(mpx_undo_t){MPX_UNDO_MADE, .object = object});
        object->max_items = making->max_items;
        object->max_bytes = making->max_bytes;
        if (making->name.size)
            rc = mpx_object_set_name(space, object, making->name);
        if (rc == MP_OK)
            rc = make_content(act, object, making);
        if (rc == MP_OK)
            rc = mpx_tenant_hold(space, act->tenant, object);
        if (rc == MP_OK && making->ttl_ms)
            mpx_object_expire_at(space, object, space->now + (int64_t)making->ttl_ms * MPX_MS);
    } else if (rc == MP_OK) {
        rc = mpx_fault(MP_ENOMEM, "an object");
    }
    if (rc != MP_OK)
        mpx_journal_undo(space, mark);
    space->journal.on = was_on;
    if (!was_on)
        mpx_journal_drop(space, mark);
    *out = object;
    return rc;
}

static mp_rc_t open_named(mpx_act_t *act, const making_t *making, mpx_object_t *object)
{
    if (making->flags & MPX_MAKE_ONLY_NEW)
        return mpx_fault(MP_EEXIST, "'%s' is there already", object->name);
    if (object->type != (mp_object_type_t)making->type)
        return mpx_fault(MP_EINVAL, "'%s' is a %s, not a %s", object->name,
                         mp_object_type_name(object->type),
                         mp_object_type_name((mp_object_type_t)making->type));
    return mpx_tenant_hold(act->space, act->tenant, object);
}

static mp_rc_t make_here(mpx_act_t *act, const making_t *making, mpx_object_t **out)
{
    mp_rc_t rc = mpx_space_check_disk(act->space);
    return rc == MP_OK ? make(act, making, out) : rc;
}

int mpx_do_MAKE(mpx_act_t *act)
{
    making_t making;
    mp_rc_t rc = read_making(act, &making);
    if (rc != MP_OK)
        return rc;
    mpx_object_t *object = making.name.size ? find_name(act->space, making.name) : NULL;
    bool is_new = !object;
    if (object)
        rc = open_named(act, &making, object);
    else if (making.flags & MPX_MAKE_ONLY_OPEN)
        rc = mpx_fault(MP_ENOTFOUND, "there is no '%.*s'", (int)making.name.size,
                       (const char *)making.name.data);
    else if (*act->tenant->restricted)
        rc = mpx_space_refuse(act->tenant);
    else if (act->space->now < act->space->refuse_until)
        rc = mpx_fault(act->space->refuse_why, "the manager can't store changes now");
    else
        rc = make_here(act, &making, &object);
    if (rc == MP_OK)
        rc = mpx_act_add_number(act, object->id);
    return rc == MP_OK ? mpx_act_add_number(act, is_new) : rc;
}

/* ---- what any object can
 * ------------------------------------------------------------------------------------ */

int mpx_do_OPEN(mpx_act_t *act)
{
    const char *name = act->object->name ? act->object->name : "";
    mp_rc_t rc = mpx_tenant_hold(act->space, act->tenant, act->object);
    if (rc == MP_OK)
        rc = mpx_act_add_number(act, act->object->type);
    return rc == MP_OK ? mpx_parcel_add(act->out, 0, (mp_bytes_t){name, strlen(name)}) : rc;
}

int mpx_do_DROP(mpx_act_t *act)
{
    mpx_tenant_drop(act->space, act->tenant, act->object->id);
    return MP_OK;
}

int mpx_do_DELETE(mpx_act_t *act)
{
    return mpx_object_finish(act->space, act->object);
}

int mpx_do_EXPIRE(mpx_act_t *act)
{
    uint64_t ttl_ms;
    mpx_object_t *object = act->object;
    mp_rc_t rc = mpx_act_number(act, &ttl_ms);
    if (rc == MP_OK && ttl_ms > MPX_TTL_MS_MAX)
        rc = mpx_fault(MP_EINVAL, "a time of %llu ms", (unsigned long long)ttl_ms);
    if (rc == MP_OK)
        rc = mpx_journal_room(act->space);
    if (rc != MP_OK)
        return rc;
    int64_t was = object->expiry.node.slot ? object->expiry.node.at : 0;
    mpx_object_expire_at(act->space, object,
                         ttl_ms ? act->space->now + (int64_t)ttl_ms * MPX_MS : 0);
    mpx_journal_note(act->space, &(mpx_undo_t){MPX_UNDO_EXPIRY, .object = object, .at = was});
    return MP_OK;
}

static size_t holders_of(const mpx_object_t *self)
{
    size_t count = 0;
    const mpx_units_t *units;
    if (MPX_T(self->type) & MPX_T_LOCK)
        return self->as.lock.holder != NULL;
    if (MPX_T(self->type) & MPX_T_UNITS)
        DL_FOREACH (self->as.units, units)
            count++;
    return count;
}

int mpx_do_STAT(mpx_act_t *act)
{
    const mpx_object_t *self = act->object;
    int64_t left = 0;
    if (self->expiry.node.slot) /* one that is due has a moment left: 0 is never */
        left = (self->expiry.node.at - act->space->now + MPX_MS - 1) / MPX_MS;
    if (self->expiry.node.slot && left < 1)
        left = 1;
    uint64_t numbers[] = {
        self->type,
        self->version,
        mpx_object_items(self),
        self->bytes,
        (uint64_t)self->handles + self->inside,
        holders_of(self),
        self->waits_count,
        MPX_T(self->type) & MPX_T_LOCK ? self->as.lock.token : 0,
        (uint64_t)left,
    };
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < sizeof numbers / sizeof *numbers; i++)
        rc = mpx_act_add_number(act, numbers[i]);
    return rc;
}

int mpx_do_WATCH(mpx_act_t *act)
{
    uint64_t version;
    int rc = mpx_act_number(act, &version);
    if (rc != MP_OK)
        return rc;
    if (act->object->version > version)
        return mpx_act_add_number(act, act->object->version);
    mpx_wait_t *wait = mpx_wait_new(act, act->object, MPX_WATCH, (mp_bytes_t){NULL, 0}, &rc);
    if (wait)
        wait->version = version;
    return rc;
}

int mpx_do_LEN(mpx_act_t *act)
{
    return mpx_act_add_number(act, mpx_object_items(act->object));
}

int mpx_do_CLEAR(mpx_act_t *act)
{
    mpx_object_t *self = act->object;
    mp_rc_t rc = MP_OK;
    if (self->type == MP_OBJECT_LIST)
        return mpx_row_splice(act->space, self, 0, self->as.row.row.count, NULL, 0);
    while (rc == MP_OK && self->as.pairs)
        rc = mpx_map_remove(act->space, self, self->as.pairs);
    return rc;
}
