/* keep.c: objects as records, for a store.
 *
 *     META    "counter"       u64: no number up to it is used again
 *             "server"        u64: what references name it by
 *     OBJECT  id              parcels: n type, s name, n max_items, n max_bytes, n value, n bound,
 *                             n typecode, n when it expires (ms of the wall clock), n lock
 *     ENTRY   id, name        of a map: name is the key; parcels: n order, n expires, n version,
 * [v] of a row: name is the rank; parcels: v of a value: name is "v"; parcels: v
 *
 * Ids and ranks are 8 bytes, the highest first, so that records come back in order.
 */
#include "space_private.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>

/* How many numbers are reserved at once. */
#define RESERVE (UINT64_C(1) << 24)

enum { ID_BYTES = 8 };

typedef struct name {
    unsigned char bytes[ID_BYTES + MPX_STORED_KEY_MAX];
    size_t size;
} name_t;

static void store_be(unsigned char *at, uint64_t number)
{
    for (int i = 0; i < ID_BYTES; i++)
        at[i] = (unsigned char)(number >> 8 * (ID_BYTES - 1 - i));
}

static uint64_t load_be(const unsigned char *at)
{
    uint64_t number = 0;
    for (int i = 0; i < ID_BYTES; i++)
        number = number << 8 | at[i];
    return number;
}

static name_t name_of(const mpx_object_t *object, mp_bytes_t entry)
{
    name_t name = {.size = ID_BYTES + entry.size};
    store_be(name.bytes, object->id);
    if (entry.size)
        memcpy(name.bytes + ID_BYTES, entry.data, entry.size);
    return name;
}

static mp_bytes_t bytes_of(const name_t *name)
{
    return (mp_bytes_t){name->bytes, name->size};
}

static uint64_t to_wall(const mpx_space_t *space, const mpx_timer_t *timer)
{
    if (!timer || !timer->node.slot)
        return 0;
    return (uint64_t)(space->options.wall_ms + timer->node.at / MPX_MS);
}

static int64_t from_wall(const mpx_space_t *space, uint64_t wall_ms)
{
    int64_t at = ((int64_t)wall_ms - space->options.wall_ms) * MPX_MS;
    return at ? at : -1; /* 0 would be never */
}

/* What lasts: all but the holds. A barrier or event is itself, without who waits. */
static bool is_custom(const mpx_object_t *object)
{
    return object->type == MP_OBJECT_CUSTOM;
}

/* ---- writing
 * ------------------------------------------------------------------------------------------- */

static mp_rc_t write_object(mpx_space_t *space, const mpx_pen_t *pen, const mpx_object_t *object)
{
    name_t name = name_of(object, (mp_bytes_t){NULL, 0});
    mpx_buf_t *out = &space->scratch;
    const char *text = object->name ? object->name : "";
    if (is_custom(object))
        return MP_OK;
    mpx_buf_clear(out);
    uint64_t lock = object->type == MP_OBJECT_CONDITION ? object->as.condition.lock->id : 0;
    /* A semaphore's units that are held return with a restart. */
    uint64_t value = (uint64_t)(MPX_T(object->type) & MPX_T_UNITS ? object->bound : object->value);
    const uint64_t numbers[] = {object->max_items,
                                object->max_bytes,
                                value,
                                (uint64_t)object->bound,
                                (uint64_t)(unsigned char)object->typecode,
                                to_wall(space, &object->expiry),
                                lock};
    mp_rc_t rc = mpx_parcel_add_number(out, object->type);
    if (rc == MP_OK)
        rc = mpx_parcel_add(out, 0, (mp_bytes_t){text, strlen(text)});
    for (size_t i = 0; rc == MP_OK && i < sizeof numbers / sizeof *numbers; i++)
        rc = mpx_parcel_add_number(out, numbers[i]);
    return rc == MP_OK ? pen->put(pen->arg, MPX_SHELF_OBJECT, bytes_of(&name), mpx_buf_bytes(out))
                       : rc;
}

static mp_rc_t write_pair(mpx_space_t *space, const mpx_pen_t *pen, const mpx_object_t *object,
                          mp_bytes_t key)
{
    name_t name = name_of(object, key);
    const mpx_pair_t *pair = mpx_map_find(object, key);
    mpx_buf_t *out = &space->scratch;
    if (!pair)
        return pen->del(pen->arg, MPX_SHELF_ENTRY, bytes_of(&name));
    mpx_buf_clear(out);
    mp_rc_t rc = mpx_parcel_add_number(out, pair->order);
    if (rc == MP_OK)
        rc = mpx_parcel_add_number(out, to_wall(space, pair->expiry));
    if (rc == MP_OK)
        rc = mpx_parcel_add_number(out, pair->version);
    if (rc == MP_OK && pair->value)
        rc = mpx_thing_add_to(pair->value, out);
    return rc == MP_OK ? pen->put(pen->arg, MPX_SHELF_ENTRY, bytes_of(&name), mpx_buf_bytes(out))
                       : rc;
}

static mp_rc_t write_thing(mpx_space_t *space, const mpx_pen_t *pen, const name_t *name,
                           const mpx_thing_t *thing)
{
    mpx_buf_t *out = &space->scratch;
    if (!thing)
        return pen->del(pen->arg, MPX_SHELF_ENTRY, bytes_of(name));
    mpx_buf_clear(out);
    mp_rc_t rc = mpx_thing_add_to(thing, out);
    return rc == MP_OK ? pen->put(pen->arg, MPX_SHELF_ENTRY, bytes_of(name), mpx_buf_bytes(out))
                       : rc;
}

/* What has this rank now: in the row, or of a queue given. */
static const mpx_thing_t *thing_of_rank(const mpx_object_t *object, uint64_t rank)
{
    const mpx_row_t *row = &object->as.row.row;
    size_t index = mpx_row_find(row, rank);
    if (index < row->count)
        return mpx_row_at(row, index)->thing;
    const mpx_given_t *given;
    DL_FOREACH (object->as.row.given, given)
        if (given->rank == rank)
            return given->thing;
    return NULL;
}

static mp_rc_t write_rank(mpx_space_t *space, const mpx_pen_t *pen, const mpx_object_t *object,
                          uint64_t rank)
{
    unsigned char bytes[ID_BYTES];
    store_be(bytes, rank);
    name_t name = name_of(object, (mp_bytes_t){bytes, sizeof bytes});
    return write_thing(space, pen, &name, thing_of_rank(object, rank));
}

static mp_rc_t write_row(mpx_space_t *space, const mpx_pen_t *pen, const mpx_object_t *object)
{
    name_t prefix = name_of(object, (mp_bytes_t){NULL, 0});
    mp_rc_t rc = pen->del_all(pen->arg, MPX_SHELF_ENTRY, bytes_of(&prefix));
    for (size_t i = 0; rc == MP_OK && i < object->as.row.row.count; i++)
        rc = write_rank(space, pen, object, mpx_row_at(&object->as.row.row, i)->rank);
    const mpx_given_t *given;
    if (MPX_T(object->type) & MPX_T_QUEUE)
        DL_FOREACH (object->as.row.given, given)
            if (rc == MP_OK)
                rc = write_rank(space, pen, object, given->rank);
    return rc;
}

static mp_rc_t erase(const mpx_pen_t *pen, const mpx_object_t *object)
{
    name_t name = name_of(object, (mp_bytes_t){NULL, 0});
    mp_rc_t rc = pen->del(pen->arg, MPX_SHELF_OBJECT, bytes_of(&name));
    return rc == MP_OK ? pen->del_all(pen->arg, MPX_SHELF_ENTRY, bytes_of(&name)) : rc;
}

/* As it is now, not as it was: so it doesn't matter how often something has changed. */
static mp_rc_t write_record(mpx_space_t *space, const mpx_pen_t *pen, const mpx_undo_t *undo)
{
    const mpx_object_t *object = undo->object;
    mp_rc_t rc = MP_OK;
    if (object->ended)
        return undo->kind == MPX_UNDO_ENDED ? erase(pen, object) : MP_OK;
    switch (undo->kind) {
    case MPX_UNDO_PAIR_NEW:
    case MPX_UNDO_PAIR_VALUE:
    case MPX_UNDO_PAIR_GONE:
        return write_pair(space, pen, object, mpx_pair_key(undo->pair));
    case MPX_UNDO_ROW:
        for (size_t i = 0; rc == MP_OK && i < undo->count + undo->added; i++)
            rc = write_rank(space, pen, object, undo->places[i].rank);
        return rc;
    case MPX_UNDO_ORDER:
        return write_row(space, pen, object);
    case MPX_UNDO_VALUE: {
        name_t name = name_of(object, (mp_bytes_t){"v", 1});
        return write_thing(space, pen, &name, object->as.thing);
    }
    case MPX_UNDO_FINISHED:
        return write_rank(space, pen, object, undo->given->rank);
    case MPX_UNDO_MADE:
    case MPX_UNDO_EXPIRY:
    case MPX_UNDO_FLAG:
        return write_object(space, pen, object);
    case MPX_UNDO_ENDED:
        break;
    }
    return MP_OK;
}

/* Well before the reserved numbers are used up. */
static bool wants_numbers(const mpx_space_t *space)
{
    return space->options.durable && space->counter + RESERVE / 2 > space->counter_stored;
}

static mp_rc_t write_meta(const mpx_pen_t *pen, const char *key, uint64_t number)
{
    unsigned char bytes[ID_BYTES];
    store_be(bytes, number);
    return pen->put(pen->arg, MPX_SHELF_META, (mp_bytes_t){key, strlen(key)},
                    (mp_bytes_t){bytes, sizeof bytes});
}

/* All of a row is written once, for the last change of its order. */
static bool is_written_later(const mpx_space_t *space, size_t index)
{
    const mpx_undo_t *undo = &space->journal.records[index];
    if (undo->kind != MPX_UNDO_ORDER)
        return false;
    for (size_t i = index + 1; i < space->journal.count; i++)
        if (space->journal.records[i].kind == MPX_UNDO_ORDER &&
            space->journal.records[i].object == undo->object)
            return true;
    return false;
}

bool mpx_space_is_changed(const mpx_space_t *self)
{
    return self->options.durable && (self->journal.count > 0 || wants_numbers(self));
}

mp_rc_t mpx_space_write(mpx_space_t *self, const mpx_pen_t *pen)
{
    mp_rc_t rc = MP_OK;
    for (size_t i = 0; rc == MP_OK && i < self->journal.count; i++)
        if (!is_written_later(self, i))
            rc = write_record(self, pen, &self->journal.records[i]);
    if (rc == MP_OK && wants_numbers(self))
        rc = write_meta(pen, "counter", self->counter + RESERVE);
    if (rc == MP_OK && wants_numbers(self))
        rc = write_meta(pen, "server", self->options.server);
    return rc;
}

/* ---- and if it can't be written
 * ----------------------------------------------------------------------------- */

static bool is_in_journal(const mpx_space_t *space, uint64_t object)
{
    for (size_t i = 0; i < space->journal.count; i++)
        if (space->journal.records[i].object->id == object)
            return true;
    return false;
}

/* An item that its consumer isn't told of goes back, as if nobody had got it. */
static void return_given(mpx_space_t *space, const mpx_tenant_t *tenant, const mpx_reply_t *reply)
{
    mpx_given_t *given, *next;
    for (given = tenant->given; given; given = next) {
        next = given->next_had;
        if (given->number != reply->number)
            continue;
        mpx_thing_t *thing = given->thing;
        bool again = thing->again;
        mpx_given_return(space, given);
        thing->again = again;
    }
}

/* Whoever changed one of those objects, or looked at it, is told that it failed. */
static void fail_replies(mpx_space_t *space, mpx_tenant_t *tenant, mp_rc_t rc)
{
    for (mpx_reply_t *reply = tenant->unsent; reply; reply = reply->next) {
        /* What was made is known by its answer alone, which is the manager's: object 0. */
        if (reply->batch != space->batch || (reply->object && !is_in_journal(space, reply->object)))
            continue;
        return_given(space, tenant, reply);
        tenant->reply_bytes -= reply->size - MPX_ANSWER_HEAD;
        reply->size = MPX_ANSWER_HEAD;
        mpx_answer_head(reply->bytes, rc, 0);
    }
}

void mpx_space_committed(mpx_space_t *self, int64_t now, mp_rc_t rc)
{
    self->now = now;
    if (rc == MP_OK) {
        mpx_journal_drop(self, 0);
        if (wants_numbers(self))
            self->counter_stored = self->counter + RESERVE;
    } else {
        mpx_tenant_t *tenant, *next;
        HASH_ITER (hh, self->tenants, tenant, next)
            fail_replies(self, tenant, rc);
        mpx_journal_undo(self, 0);
        self->refuse_until = now + MPX_S;
        self->refuse_why = rc;
    }
    self->batch++;
    mpx_space_serve(self);
}

/* ---- reading
 * ----------------------------------------------------------------------------------------------------
 */

static mp_rc_t damaged(const char *what)
{
    return mpx_fault(MP_ECORRUPT, "the data directory: %s", what);
}

static mp_rc_t load_object(mpx_space_t *space, uint64_t id, mp_bytes_t value)
{
    uint64_t type = 0, numbers[7];
    uint32_t kind = 0;
    mp_bytes_t name = {NULL, 0};
    mp_rc_t rc = mpx_parcel_next_number(&value, &type);
    if (rc == MP_OK)
        rc = mpx_parcel_next(&value, &kind, &name);
    for (size_t i = 0; rc == MP_OK && i < sizeof numbers / sizeof *numbers; i++)
        rc = mpx_parcel_next_number(&value, &numbers[i]);
    if (rc != MP_OK || type == 0 || type >= MP_OBJECT_CUSTOM || name.size > MPX_NAME_MAX)
        return damaged("an object's record");
    mpx_object_t *object = mpx_object_new(space, id, (mp_object_type_t)type);
    if (!object)
        return mpx_fault(MP_ENOMEM, "an object");
    object->max_items = numbers[0];
    object->max_bytes = numbers[1];
    object->value = (int64_t)numbers[2];
    object->bound = (int64_t)numbers[3];
    object->typecode = (char)numbers[4];
    if (numbers[5])
        mpx_object_expire_at(space, object, from_wall(space, numbers[5]));
    object->version = numbers[6]; /* a condition's lock, until all are there */
    return name.size ? mpx_object_set_name(space, object, name) : MP_OK;
}

static mp_rc_t load_pair(mpx_space_t *space, mpx_object_t *object, mp_bytes_t key, mp_bytes_t value)
{
    uint64_t order = 0, expires = 0, version = 0;
    uint32_t kind = 0;
    mp_bytes_t item = {NULL, 0};
    mpx_thing_t *thing = NULL;
    mpx_pair_t *pair = NULL;
    mp_rc_t rc = mpx_parcel_next_number(&value, &order);
    if (rc == MP_OK)
        rc = mpx_parcel_next_number(&value, &expires);
    if (rc == MP_OK)
        rc = mpx_parcel_next_number(&value, &version);
    if (rc == MP_OK && object->type != MP_OBJECT_SET)
        rc = mpx_parcel_next(&value, &kind, &item);
    if (rc != MP_OK || mpx_node_check(key, NULL) != MP_OK || !mpx_node_is_scalar(key))
        return damaged("a key's record");
    if (object->type != MP_OBJECT_SET)
        rc = mpx_thing_new(space, NULL, kind, item, &thing);
    if (rc == MP_OK)
        rc = mpx_map_put(space, object, key, thing, &pair);
    if (rc != MP_OK)
        return rc;
    pair->order = order;
    pair->version = version;
    return expires ? mpx_map_expire(space, object, pair, from_wall(space, expires)) : MP_OK;
}

static mp_rc_t load_entry(mpx_space_t *space, mpx_object_t *object, mp_bytes_t name,
                          mp_bytes_t value)
{
    uint32_t kind;
    mp_bytes_t item;
    mpx_thing_t *thing = NULL;
    if (MPX_T(object->type) & MPX_T_KEYED)
        return load_pair(space, object, name, value);
    bool in_row = MPX_T(object->type) & (MPX_T_SEQ | MPX_T_QUEUE);
    if ((in_row ? name.size != ID_BYTES : object->type != MP_OBJECT_VALUE) ||
        mpx_parcel_next(&value, &kind, &item) != MP_OK)
        return damaged("an item's record");
    mp_rc_t rc = mpx_thing_new(space, NULL, kind, item, &thing);
    if (rc != MP_OK)
        return rc;
    if (!in_row)
        return mpx_value_put(space, object, thing);
    object->as.row.unfinished++;
    return mpx_row_append_loaded(space, object, load_be(name.data), thing);
}

mp_rc_t mpx_space_load(mpx_space_t *self, mpx_shelf_t shelf, mp_bytes_t key, mp_bytes_t value)
{
    self->journal.on = false;
    self->loading = true;
    if (shelf == MPX_SHELF_META) {
        if (value.size != ID_BYTES)
            return damaged("a number's record");
        uint64_t number = load_be(value.data);
        if (key.size == 7 && memcmp(key.data, "counter", 7) == 0 && number > self->counter)
            self->counter = number;
        if (key.size == 6 && memcmp(key.data, "server", 6) == 0)
            self->options.server = number;
        return MP_OK;
    }
    if (key.size < ID_BYTES)
        return damaged("a record without an object");
    uint64_t id = load_be(key.data);
    if (shelf == MPX_SHELF_OBJECT)
        return load_object(self, id, value);
    mpx_object_t *object = mpx_object_find(self, id);
    if (!object)
        return damaged("an entry of no object");
    mp_bytes_t name = {(const unsigned char *)key.data + ID_BYTES, key.size - ID_BYTES};
    return load_entry(self, object, name, value);
}

static int by_order(const mpx_pair_t *a, const mpx_pair_t *b)
{
    return (a->order > b->order) - (a->order < b->order);
}

mp_rc_t mpx_space_loaded(mpx_space_t *self, int64_t now)
{
    self->now = now;
    for (mpx_object_t *object = self->objects; object; object = object->hh.next) {
        if (MPX_T(object->type) & MPX_T_KEYED)
            HASH_SORT(object->as.pairs, by_order);
        if (object->type == MP_OBJECT_CONDITION) {
            mpx_object_t *lock = mpx_object_find(self, object->version);
            if (!lock || !(MPX_T(lock->type) & MPX_T_LOCK))
                return damaged("a condition without its lock");
            mpx_condition_join(self, object, lock);
        }
        object->version = mpx_space_number(self);
    }
    for (mpx_object_t *object = self->objects; object; object = object->hh.next)
        mpx_object_linger(self, object);
    mpx_space_serve(self);
    self->loading = false;
    self->journal.on = self->options.durable;
    return MP_OK;
}
