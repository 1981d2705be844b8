/* row.c: things in a row: lists, arrays, queues. Both ends grow and shrink at no cost. */
#include "space_private.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>

/* Ranks begin in the middle, so that both ends have room for ever. */
#define RANK_FIRST (UINT64_C(1) << 62)
#define RANK_STEP  (UINT64_C(1) << 20)

static size_t cost_of(const mpx_thing_t *thing)
{
    return MPX_ENTRY_COST + thing->size;
}

size_t mpx_row_find(const mpx_row_t *self, uint64_t rank)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mpx_row_at(self, middle)->rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->count && mpx_row_at(self, low)->rank == rank ? low : self->count;
}

/* ---- room
 * ---------------------------------------------------------------------------------------- */

/* For `more` places, with as much free before as behind. */
static mp_rc_t grow(mpx_row_t *self, size_t more)
{
    size_t room = (self->count + more) * 2 + 8;
    mpx_place_t *places = malloc(room * sizeof *places);
    if (!places)
        return mpx_fault(MP_ENOMEM, "a list of %zu", self->count + more);
    size_t head = (room - self->count - more) / 2;
    if (self->count)
        memcpy(places + head, mpx_row_at(self, 0), self->count * sizeof *places);
    free(self->places);
    self->places = places;
    self->head = head;
    self->room = room;
    return MP_OK;
}

/* The shorter part moves. */
static mp_rc_t open_gap(mpx_row_t *self, size_t at, size_t size)
{
    size_t behind = self->count - at;
    bool front = at < behind;
    bool fits = front ? self->head >= size : self->room - self->head - self->count >= size;
    mp_rc_t rc = fits ? MP_OK : grow(self, size);
    if (rc != MP_OK)
        return rc;
    front = front && self->head >= size;
    if (!front && self->room - self->head - self->count < size)
        front = true;
    mpx_place_t *first = self->places + self->head;
    if (front) {
        memmove(first - size, first, at * sizeof *first);
        self->head -= size;
    } else {
        memmove(first + at + size, first + at, behind * sizeof *first);
    }
    self->count += size;
    return MP_OK;
}

static void close_gap(mpx_row_t *self, size_t at, size_t size)
{
    size_t behind = self->count - at - size;
    mpx_place_t *first = self->places + self->head;
    if (at < behind) {
        memmove(first + size, first, at * sizeof *first);
        self->head += size;
    } else {
        memmove(first + at, first + at + size, behind * sizeof *first);
    }
    self->count -= size;
    if (self->count == 0)
        self->head = self->room / 2;
}

mp_rc_t mpx_row_exchange(mpx_row_t *self, size_t at, size_t removed, const mpx_place_t *places,
                         size_t added)
{
    if (added > removed) {
        mp_rc_t rc = open_gap(self, at + removed, added - removed);
        if (rc != MP_OK)
            return rc;
    } else if (removed > added) {
        close_gap(self, at + added, removed - added);
    }
    for (size_t i = 0; i < added; i++)
        *mpx_row_at(self, at + i) = places[i];
    return MP_OK;
}

/* ---- ranks
 * ----------------------------------------------------------------------------------------- */

/* Ranks for `added` places between those before `at` and those from `behind` on. false: there is no
 * room between these. */
static bool give_ranks(mpx_row_t *self, size_t at, size_t behind, mpx_place_t *places, size_t added)
{
    bool first = at == 0, last = behind == self->count;
    uint64_t low = last ? self->top : first ? 0 : mpx_row_at(self, at - 1)->rank;
    uint64_t high = last ? UINT64_MAX : mpx_row_at(self, behind)->rank;
    uint64_t step = RANK_STEP;
    if (last) {
        low = low ? low : RANK_FIRST;
        if (low > UINT64_MAX - (added + 1) * RANK_STEP)
            return false;
    } else if (first) {
        if (high < (added + 1) * RANK_STEP)
            return false;
        low = high - (added + 1) * RANK_STEP;
    } else {
        step = (high - low) / (added + 1);
        if (step == 0)
            return false;
    }
    for (size_t i = 0; i < added; i++)
        places[i].rank = low + (i + 1) * step;
    if (last)
        self->top = low + added * step;
    return true;
}

/* With room for `added` places before `behind`. */
static void rank_anew(mpx_row_t *self, size_t behind, size_t added)
{
    for (size_t i = 0; i < self->count; i++)
        mpx_row_at(self, i)->rank = RANK_FIRST + (i + 1 + (i >= behind ? added : 0)) * RANK_STEP;
    /* At the end they are given from there on. */
    self->top = RANK_FIRST + (self->count + (behind < self->count ? added : 0)) * RANK_STEP;
}

/* ---- changes
 * ----------------------------------------------------------------------------------------- */

static mp_rc_t note_all(mpx_space_t *space, mpx_object_t *self)
{
    const mpx_row_t *row = &self->as.row.row;
    mp_rc_t rc = mpx_journal_room(space);
    if (rc != MP_OK || !space->journal.on)
        return rc;
    mpx_undo_t undo = {MPX_UNDO_ORDER, .object = self, .count = row->count};
    undo.places = malloc((row->count + 1) * sizeof *undo.places);
    if (!undo.places)
        return mpx_fault(MP_ENOMEM, "a list of %zu", row->count);
    if (row->count)
        memcpy(undo.places, mpx_row_at(row, 0), row->count * sizeof *undo.places);
    mpx_journal_note(space, &undo);
    return MP_OK;
}

/* Ranks for the places to be added, if need be by giving all others new ones. */
static mp_rc_t rank(mpx_space_t *space, mpx_object_t *self, size_t at, size_t behind,
                    mpx_place_t *places, size_t added)
{
    mpx_row_t *row = &self->as.row.row;
    if (give_ranks(row, at, behind, places, added))
        return MP_OK;
    mp_rc_t rc = note_all(space, self);
    if (rc != MP_OK)
        return rc;
    rank_anew(row, behind, added);
    (void)give_ranks(row, at, behind, places, added);
    return MP_OK;
}

/* The journal is told the places that go away, whose things it frees, and the ranks that come. */
static mp_rc_t splice(mpx_space_t *space, mpx_object_t *self, size_t at, size_t removed,
                      mpx_place_t *places, size_t added)
{
    mpx_row_t *row = &self->as.row.row;
    mpx_undo_t undo = {MPX_UNDO_ROW, .object = self, .index = at, .count = removed, .added = added};
    mp_rc_t rc = rank(space, self, at, at + removed, places, added);
    if (rc == MP_OK)
        rc = mpx_journal_room(space);
    if (rc == MP_OK && (removed || space->journal.on)) {
        undo.places = malloc((removed + added) * sizeof *undo.places + 1);
        rc = undo.places ? MP_OK : mpx_fault(MP_ENOMEM, "a list");
    }
    for (size_t i = 0; rc == MP_OK && undo.places && i < removed; i++)
        undo.places[i] = *mpx_row_at(row, at + i);
    for (size_t i = 0; rc == MP_OK && undo.places && i < added; i++)
        undo.places[removed + i] = places[i];
    if (rc == MP_OK)
        rc = mpx_row_exchange(row, at, removed, places, added);
    if (rc != MP_OK)
        free(undo.places);
    else
        mpx_journal_note(space, &undo);
    return rc;
}

static void free_things(mpx_space_t *space, mpx_thing_t *const *things, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mpx_thing_free(space, things[i]);
}

mp_rc_t mpx_row_splice(mpx_space_t *space, mpx_object_t *self, size_t at, size_t removed,
                       mpx_thing_t *const *things, size_t added)
{
    mpx_place_t one;
    mpx_place_t *places = added <= 1 ? &one : malloc(added * sizeof *places);
    size_t before = 0, after = 0;
    for (size_t i = 0; i < removed; i++)
        before += cost_of(mpx_row_at(&self->as.row.row, at + i)->thing);
    for (size_t i = 0; places && i < added; i++) {
        places[i] = (mpx_place_t){things[i], 0};
        after += cost_of(things[i]);
    }
    mp_rc_t rc =
        places ? mpx_object_room(space, self, before, after,
                                 added > removed ? mpx_object_items(self) - removed + added : 0)
               : mpx_fault(MP_ENOMEM, "%zu items", added);
    if (rc == MP_OK)
        rc = splice(space, self, at, removed, places, added);
    if (rc == MP_OK) {
        mpx_object_count_bytes(space, self, before, after);
        mpx_object_touch(space, self);
    } else {
        free_things(space, things, added);
    }
    if (places != &one)
        free(places);
    return rc;
}

mp_rc_t mpx_row_permute(mpx_space_t *space, mpx_object_t *self, const size_t *order)
{
    mpx_row_t *row = &self->as.row.row;
    mpx_thing_t **things = malloc((row->count + 1) * sizeof *things);
    mp_rc_t rc = things ? note_all(space, self) : mpx_fault(MP_ENOMEM, "a list");
    if (rc == MP_OK) {
        for (size_t i = 0; i < row->count; i++)
            things[i] = mpx_row_at(row, order[i])->thing;
        for (size_t i = 0; i < row->count; i++)
            mpx_row_at(row, i)->thing = things[i];
        mpx_object_touch(space, self);
    }
    free(things);
    return rc;
}

mp_rc_t mpx_row_append_loaded(mpx_space_t *space, mpx_object_t *self, uint64_t rank,
                              mpx_thing_t *thing)
{
    mpx_row_t *row = &self->as.row.row;
    mp_rc_t rc = mpx_row_exchange(row, row->count, 0, &(mpx_place_t){thing, rank}, 1);
    if (rc != MP_OK) {
        mpx_thing_free(space, thing);
        return rc;
    }
    row->top = rank > row->top ? rank : row->top;
    mpx_object_count_bytes(space, self, 0, cost_of(thing));
    return MP_OK;
}
