/* journal.c: what has changed, in order, each record with what it takes to undo it. */
#include "space_private.h"

#include "fault.h"

#include <stdlib.h>

mp_rc_t mpx_journal_room(mpx_space_t *space)
{
    mpx_journal_t *self = &space->journal;
    if (!self->on || self->count < self->room)
        return MP_OK;
    size_t room = self->room ? self->room * 2 : 64;
    mpx_undo_t *records = realloc(self->records, room * sizeof *records);
    if (!records)
        return mpx_fault(MP_ENOMEM, "a journal of %zu records", room);
    self->records = records;
    self->room = room;
    return MP_OK;
}

/* It will not be undone: what it kept for that goes. */
static void let_go(mpx_space_t *space, const mpx_undo_t *undo)
{
    switch (undo->kind) {
    case MPX_UNDO_PAIR_GONE:
        mpx_map_free_pair(space, undo->pair);
        break;
    case MPX_UNDO_PAIR_VALUE:
    case MPX_UNDO_VALUE:
        mpx_thing_free(space, undo->thing);
        break;
    case MPX_UNDO_ROW:
        for (size_t i = 0; i < undo->count; i++)
            mpx_thing_free(space, undo->places[i].thing);
        free(undo->places);
        break;
    case MPX_UNDO_ORDER:
        free(undo->places);
        break;
    case MPX_UNDO_FINISHED:
        mpx_thing_free(space, undo->given->thing);
        free(undo->given);
        break;
    case MPX_UNDO_ENDED:
        mpx_object_free(space, undo->object);
        break;
    case MPX_UNDO_PAIR_NEW:
    case MPX_UNDO_MADE:
    case MPX_UNDO_EXPIRY:
    case MPX_UNDO_FLAG:
        break;
    }
}

void mpx_journal_note(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_undo_t *record = &space->journal.records[space->journal.count];
    if (!space->journal.on) {
        let_go(space, undo);
        return;
    }
    *record = *undo;
    record->object_version = undo->object->version;
    space->journal.count++;
}

/* ---- undoing
 * -------------------------------------------------------------------------------------- */

static size_t cost_of_pair(const mpx_pair_t *pair)
{
    return MPX_ENTRY_COST + pair->key_size + (pair->value ? pair->value->size : 0);
}

static void undo_value_of_pair(mpx_space_t *space, const mpx_undo_t *undo)
{
    size_t now = cost_of_pair(undo->pair);
    mpx_thing_free(space, undo->pair->value);
    undo->pair->value = undo->thing;
    undo->pair->version = undo->version;
    mpx_object_count_bytes(space, undo->object, now, cost_of_pair(undo->pair));
    (void)mpx_map_expire(space, undo->object, undo->pair, undo->at);
}

static size_t cost_of_places(const mpx_place_t *places, size_t count)
{
    size_t cost = 0;
    for (size_t i = 0; i < count; i++)
        cost += MPX_ENTRY_COST + places[i].thing->size;
    return cost;
}

static void undo_row(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_row_t *row = &undo->object->as.row.row;
    size_t now = undo->added ? cost_of_places(mpx_row_at(row, undo->index), undo->added) : 0;
    for (size_t i = 0; i < undo->added; i++)
        mpx_thing_free(space, mpx_row_at(row, undo->index + i)->thing);
    /* There was room for them before. */
    (void)mpx_row_exchange(row, undo->index, undo->added, undo->places, undo->count);
    mpx_object_count_bytes(space, undo->object, now, cost_of_places(undo->places, undo->count));
    free(undo->places);
}

/* Of a queue, whose items go out meanwhile: by their ranks. */
static void undo_put(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_object_t *queue = undo->object;
    mpx_row_t *row = &queue->as.row.row;
    const mpx_place_t *place = undo->places + undo->count;
    size_t index = mpx_row_find(row, place->rank);
    mpx_given_t *given;
    DL_SEARCH_SCALAR(queue->as.row.given, given, rank, place->rank);
    mpx_object_count_bytes(space, queue, cost_of_places(place, 1), 0);
    queue->as.row.unfinished--;
    if (index < row->count) {
        (void)mpx_row_exchange(row, index, 1, NULL, 0);
    } else if (given) {
        DL_DELETE(queue->as.row.given, given);
        if (given->tenant)
            DL_DELETE2(given->tenant->given, given, prev_had, next_had);
        free(given);
    }
    mpx_thing_free(space, place->thing);
    free(undo->places);
}

static void undo_order(const mpx_undo_t *undo)
{
    mpx_row_t *row = &undo->object->as.row.row;
    for (size_t i = 0; i < undo->count; i++)
        *mpx_row_at(row, i) = undo->places[i];
    free(undo->places);
}

static void undo_value(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_object_t *object = undo->object;
    size_t now = object->as.thing ? MPX_ENTRY_COST + object->as.thing->size : 0;
    size_t then = undo->thing ? MPX_ENTRY_COST + undo->thing->size : 0;
    mpx_thing_free(space, object->as.thing);
    object->as.thing = undo->thing;
    mpx_object_count_bytes(space, object, now, then);
}

/* Who had it has it again; without that one it is queued again, where it came from. */
static void undo_finished(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_given_t *given = undo->given;
    mpx_tenant_t *owner = NULL;
    HASH_FIND(hh, space->tenants, &given->owner, sizeof given->owner, owner);
    given->tenant = owner;
    undo->object->as.row.unfinished++;
    mpx_object_count_bytes(space, undo->object, 0, MPX_ENTRY_COST + given->thing->size);
    DL_PREPEND(undo->object->as.row.given, given);
    if (owner)
        DL_PREPEND2(owner->given, given, prev_had, next_had);
    else
        mpx_given_return(space, given);
}

/* It was never there: also for those who have got a handle. */
static void undo_made(mpx_space_t *space, mpx_object_t *object)
{
    uint64_t id = object->id;
    mpx_object_end(space, object, MP_ENOSPACE);
    mpx_object_free(space, object);
    for (mpx_tenant_t *tenant = space->tenants; tenant; tenant = tenant->hh.next) {
        mpx_handle_t *handle = NULL;
        HASH_FIND(hh, tenant->handles, &id, sizeof id, handle);
        if (!handle)
            continue;
        HASH_DEL(tenant->handles, handle);
        free(handle);
    }
}

static void undo_ended(mpx_space_t *space, const mpx_undo_t *undo)
{
    mpx_object_relist(space, undo->object);
    mpx_object_linger(space, undo->object);
    if (undo->at)
        mpx_object_expire_at(space, undo->object, undo->at);
}

static void undo_one(mpx_space_t *space, const mpx_undo_t *undo)
{
    switch (undo->kind) {
    case MPX_UNDO_PAIR_NEW:
        mpx_object_count_bytes(space, undo->object, cost_of_pair(undo->pair), 0);
        mpx_map_unlist(undo->object, undo->pair);
        mpx_map_free_pair(space, undo->pair);
        break;
    case MPX_UNDO_PAIR_VALUE:
        undo_value_of_pair(space, undo);
        break;
    case MPX_UNDO_PAIR_GONE:
        mpx_map_relist(undo->object, undo->pair);
        mpx_object_count_bytes(space, undo->object, 0, cost_of_pair(undo->pair));
        if (undo->pair->expiry)
            (void)mpx_heap_set(&space->timers, &undo->pair->expiry->node,
                               undo->pair->expiry->node.at);
        break;
    case MPX_UNDO_ROW:
        if (MPX_T(undo->object->type) & MPX_T_QUEUE)
            undo_put(space, undo);
        else
            undo_row(space, undo);
        break;
    case MPX_UNDO_ORDER:
        undo_order(undo);
        break;
    case MPX_UNDO_VALUE:
        undo_value(space, undo);
        break;
    case MPX_UNDO_MADE:
        undo_made(space, undo->object);
        return;
    case MPX_UNDO_ENDED:
        undo_ended(space, undo);
        break;
    case MPX_UNDO_EXPIRY:
        mpx_object_expire_at(space, undo->object, undo->at);
        break;
    case MPX_UNDO_FLAG:
        undo->object->value = undo->at;
        break;
    case MPX_UNDO_FINISHED:
        undo_finished(space, undo);
        break;
    }
    /* Of a queue things change that aren't undone. */
    if (!(MPX_T(undo->object->type) & MPX_T_QUEUE))
        undo->object->version = undo->object_version;
}

void mpx_journal_undo(mpx_space_t *space, size_t to)
{
    /* What undoing changes is no change. */
    bool was_on = space->journal.on;
    size_t count = space->journal.count;
    space->journal.on = false;
    while (count > to)
        undo_one(space, &space->journal.records[--count]);
    space->journal.count = to;
    space->journal.on = was_on;
}

void mpx_journal_drop(mpx_space_t *space, size_t from)
{
    for (size_t i = from; i < space->journal.count; i++)
        let_go(space, &space->journal.records[i]);
    space->journal.count = from;
}
