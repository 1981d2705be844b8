/* describe.c: objects as people see them, and whether they are in order. */
#include "space_private.h"

#include "clock.h"

#include <string.h>

static mp_rc_t add_key(mpx_buf_t *out, const char *key)
{
    return mpx_node_add_str(out, key, strlen(key));
}

static mp_rc_t add_int(mpx_buf_t *out, const char *key, uint64_t number)
{
    mp_rc_t rc = add_key(out, key);
    return rc == MP_OK ? mpx_node_add_int(out, (int64_t)number) : rc;
}

static mp_rc_t add_text(mpx_buf_t *out, const char *key, const char *text)
{
    mp_rc_t rc = add_key(out, key);
    return rc == MP_OK ? mpx_node_add_str(out, text, strlen(text)) : rc;
}

static mp_rc_t add_holder(const mpx_space_t *space, const mpx_tenant_t *tenant, int64_t since,
                          const char *what, uint64_t number, mpx_buf_t *out)
{
    mp_rc_t rc = mpx_node_add_dict(out, 3);
    if (rc == MP_OK)
        rc = add_text(out, "client", tenant->name);
    if (rc == MP_OK)
        rc = add_int(out, what, number);
    return rc == MP_OK ? add_int(out, "held_ms", (uint64_t)((space->now - since) / MPX_MS)) : rc;
}

static mp_rc_t add_held(const mpx_space_t *space, const mpx_object_t *self, mpx_buf_t *out)
{
    const mpx_units_t *units;
    size_t count = 0;
    mp_rc_t rc = add_key(out, "held");
    if (MPX_T(self->type) & MPX_T_LOCK) {
        const mpx_lock_state_t *lock = &self->as.lock;
        if (rc == MP_OK)
            rc = mpx_node_add_list(out, lock->holder != NULL);
        return rc == MP_OK && lock->holder
                   ? add_holder(space, lock->holder, lock->since, "token", lock->token, out)
                   : rc;
    }
    DL_COUNT(self->as.units, units, count);
    if (rc == MP_OK)
        rc = mpx_node_add_list(out, count);
    DL_FOREACH (self->as.units, units)
        if (rc == MP_OK)
            rc = add_holder(space, units->tenant, units->since, "units", (uint64_t)units->count,
                            out);
    return rc;
}

static mp_rc_t add_waiting(const mpx_object_t *self, mpx_buf_t *out)
{
    const mpx_wait_t *wait;
    mp_rc_t rc = add_key(out, "waiting");
    if (rc == MP_OK)
        rc = mpx_node_add_list(out, self->waits_count);
    DL_FOREACH (self->waits, wait)
        if (rc == MP_OK)
            rc = mpx_node_add_str(out, wait->tenant->name, strlen(wait->tenant->name));
    return rc;
}

mp_rc_t mpx_object_describe(const mpx_space_t *space, const mpx_object_t *self, mpx_buf_t *out)
{
    bool held = MPX_T(self->type) & (MPX_T_LOCK | MPX_T_UNITS);
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = {
        {"id", self->id},
        {"version", self->version},
        {"items", mpx_object_items(self)},
        {"bytes", self->bytes},
        {"handles", (uint64_t)self->handles + self->inside},
    };
    size_t count = sizeof numbers / sizeof *numbers;
    mp_rc_t rc = mpx_node_add_dict(out, count + 3 + held);
    for (size_t i = 0; rc == MP_OK && i < count; i++)
        rc = add_int(out, numbers[i].key, numbers[i].number);
    if (rc == MP_OK)
        rc = add_text(out, "type", mp_object_type_name(self->type));
    if (rc == MP_OK)
        rc = add_text(out, "name", self->name ? self->name : "");
    if (rc == MP_OK && held)
        rc = add_held(space, self, out);
    return rc == MP_OK ? add_waiting(self, out) : rc;
}

/* ---- whether all is in order
 * --------------------------------------------------------------------------------- */

static bool object_is_sound(const mpx_object_t *self)
{
    size_t bytes = 0, waits = 0;
    unsigned type = MPX_T(self->type);
    const mpx_wait_t *wait;
    DL_FOREACH (self->waits, wait)
        waits += wait->object == self;
    if (type & MPX_T_KEYED)
        for (const mpx_pair_t *pair = self->as.pairs; pair; pair = pair->hh.next)
            bytes += MPX_ENTRY_COST + pair->key_size + (pair->value ? pair->value->size : 0);
    if (type & (MPX_T_SEQ | MPX_T_QUEUE)) {
        const mpx_row_t *row = &self->as.row.row;
        const mpx_given_t *given;
        for (size_t i = 0; i < row->count; i++) {
            bytes += MPX_ENTRY_COST + mpx_row_at(row, i)->thing->size;
            if (i && mpx_row_at(row, i - 1)->rank >= mpx_row_at(row, i)->rank)
                return false;
        }
        DL_FOREACH (self->as.row.given, given)
            bytes += MPX_ENTRY_COST + given->thing->size;
    }
    if (self->type == MP_OBJECT_VALUE && self->as.thing)
        bytes += MPX_ENTRY_COST + self->as.thing->size;
    return bytes == self->bytes && waits == self->waits_count;
}

bool mpx_space_is_sound(const mpx_space_t *self)
{
    size_t bytes = 0, waits = 0;
    for (const mpx_object_t *object = self->objects; object; object = object->hh.next) {
        if (!object_is_sound(object))
            return false;
        bytes += object->bytes;
        waits += object->waits_count;
    }
    for (size_t i = 0; i < self->journal.count; i++)
        if (self->journal.records[i].kind == MPX_UNDO_ENDED)
            bytes += self->journal.records[i].object->bytes;
    return bytes == self->bytes && waits == self->waits;
}
