#include "fifo.h"

#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { GOAL_NS = 1000000 /* of work in one batch */ };

struct mpx_visitor {
    void *tag;
    /* as a producer */
    mpx_fifo_item_t *parked;
    size_t parked_items;
    size_t parked_bytes;
    size_t admitted; /* to be told */
    size_t admitted_bytes;
    bool hurry;
    bool reserving; /* RESERVE is open */
    bool granted;   /* has a place */
    bool tell_grant;
    uint64_t reserve_nonce;
    size_t reserve_bytes;
    /* as a consumer */
    mpx_fifo_item_t *given; /* in the order of their numbers */
    uint64_t last_number;
    bool consumes; /* has ever asked */
    bool taking;   /* TAKE is open */
    uint64_t take_nonce;
    size_t take_count;
    size_t pace;       /* items that it may be given at once */
    size_t last_batch; /* what it was given last, and when */
    int64_t last_at;
    uint64_t last_turn;
    bool watching;
    bool awaiting;
    uint64_t await_nonce;
    /* where it is listed */
    bool waits; /* for room */
    bool takes; /* for items */
    struct mpx_visitor *prev, *next;
    struct mpx_visitor *prev_waiting, *next_waiting;
    struct mpx_visitor *prev_taking, *next_taking;
};

struct mpx_fifo {
    mpx_fifo_options_t options;
    mpx_fifo_item_t *items;
    mpx_visitor_t *visitors;
    mpx_visitor_t *waiting; /* for room, in turn */
    mpx_visitor_t *taking;  /* for items, in turn */
    mpx_fifo_counts_t counts;
    size_t popped; /* in the owner's own hands */
    size_t popped_cost;
    size_t consumers;
    uint64_t turns; /* how often anything was given */
    size_t tells;   /* visitors with something to be told, at most: 0 is nobody */
};

mp_rc_t mpx_fifo_new(const mpx_fifo_options_t *options, mpx_fifo_t **out)
{
    mpx_fifo_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    self->options = *options;
    if (!self->options.batch_max)
        self->options.batch_max = MPX_FIFO_BATCH_MAX;
    *out = self;
    return MP_OK;
}

static void free_items(mpx_fifo_item_t *items)
{
    mpx_fifo_item_t *item, *next;
    DL_FOREACH_SAFE (items, item, next)
        free(item);
}

void mpx_fifo_destroy(mpx_fifo_t **self_p)
{
    mpx_fifo_t *self = *self_p;
    if (!self)
        return;
    while (self->visitors)
        mpx_fifo_go(self, self->visitors);
    free_items(self->items);
    free(self);
    *self_p = NULL;
}

mpx_visitor_t *mpx_fifo_come(mpx_fifo_t *self, void *tag)
{
    mpx_visitor_t *visitor = calloc(1, sizeof *visitor);
    if (!visitor)
        return NULL;
    visitor->tag = tag;
    visitor->pace = 1;
    DL_APPEND(self->visitors, visitor);
    self->counts.visitors++;
    return visitor;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_waiting(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    bool should = visitor->parked || visitor->reserving;
    if (should == visitor->waits)
        return;
    visitor->waits = should;
    if (should)
        DL_APPEND2(self->waiting, visitor, prev_waiting, next_waiting);
    else
        DL_DELETE2(self->waiting, visitor, prev_waiting, next_waiting);
}

static void list_taking(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    if (visitor->taking == visitor->takes)
        return;
    visitor->takes = visitor->taking;
    if (visitor->taking)
        DL_APPEND2(self->taking, visitor, prev_taking, next_taking);
    else
        DL_DELETE2(self->taking, visitor, prev_taking, next_taking);
}

/* ---- room ------------------------------------------------------------------------------------ */

static size_t cost_of(size_t bytes)
{
    return bytes + MPX_FIFO_ITEM_COST;
}

/* One item always fits an empty queue: it was checked against the limit of one item. */
static bool has_room(const mpx_fifo_t *self, size_t bytes)
{
    size_t items = self->counts.queued + self->counts.reserved;
    size_t cost = cost_of(bytes);
    if (self->options.maxsize && items >= self->options.maxsize)
        return false;
    return self->counts.bytes == 0 || (cost <= self->options.max_bytes &&
                                       self->counts.bytes <= self->options.max_bytes - cost);
}

static void admit(mpx_fifo_t *self, mpx_fifo_item_t *item)
{
    DL_APPEND(self->items, item);
    self->counts.queued++;
    self->counts.put++;
    if (self->options.joinable)
        self->counts.unfinished++;
}

/* Each telling may wake the visitor, so it isn't done for each item. */
static bool is_worth_telling(const mpx_fifo_t *self, const mpx_visitor_t *visitor)
{
    return visitor->admitted && (visitor->hurry || visitor->admitted >= self->options.tell_items ||
                                 visitor->admitted_bytes >= self->options.tell_bytes);
}

static void admit_parked(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    mpx_fifo_item_t *item = visitor->parked;
    DL_DELETE(visitor->parked, item);
    visitor->parked_items--;
    visitor->parked_bytes -= item->size;
    self->counts.parked--;
    self->counts.bytes += cost_of(item->size);
    admit(self, item);
    visitor->admitted++;
    visitor->admitted_bytes += item->size;
    if (is_worth_telling(self, visitor))
        self->tells++;
}

void mpx_fifo_hurry(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    visitor->hurry = true;
    self->tells++;
}

static void grant(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    visitor->reserving = false;
    visitor->granted = true;
    visitor->tell_grant = true;
    self->counts.reserved++;
    self->counts.bytes += cost_of(visitor->reserve_bytes);
    self->tells++;
}

/* One for each in turn, so that nobody's window starves the others. */
static void fill(mpx_fifo_t *self)
{
    while (self->waiting) {
        mpx_visitor_t *visitor = self->waiting;
        size_t bytes = visitor->parked ? visitor->parked->size : visitor->reserve_bytes;
        if (!has_room(self, bytes))
            return;
        if (visitor->parked)
            admit_parked(self, visitor);
        else
            grant(self, visitor);
        DL_DELETE2(self->waiting, visitor, prev_waiting, next_waiting);
        visitor->waits = false;
        list_waiting(self, visitor);
    }
}

static void drop_grant(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    if (!visitor->granted)
        return;
    visitor->granted = false;
    visitor->tell_grant = false;
    self->counts.reserved--;
    self->counts.bytes -= cost_of(visitor->reserve_bytes);
}

/* ---- producers ---------------------------------------------------------------------------------
 */

static mpx_fifo_item_t *make_item(uint32_t kind, mp_bytes_t bytes)
{
    mpx_fifo_item_t *item = malloc(sizeof *item + bytes.size);
    if (!item)
        return NULL;
    item->number = 0;
    item->size = bytes.size;
    item->kind = kind;
    item->again = false;
    if (bytes.size)
        memcpy(item->bytes, bytes.data, bytes.size);
    return item;
}

/* Whether it keeps to what it was allowed. What it was not told yet counts as not admitted. */
static bool may_put(const mpx_fifo_t *self, const mpx_visitor_t *visitor, size_t bytes)
{
    if (self->options.by_place)
        return visitor->granted && bytes <= visitor->reserve_bytes;
    size_t items = visitor->parked_items + visitor->admitted;
    size_t ahead = visitor->parked_bytes + visitor->admitted_bytes;
    return items == 0 ||
           (items < self->options.window_items && bytes <= self->options.window_bytes &&
            ahead <= self->options.window_bytes - bytes);
}

mp_rc_t mpx_fifo_put(mpx_fifo_t *self, mpx_visitor_t *visitor, uint32_t kind, mp_bytes_t bytes)
{
    if (!may_put(self, visitor, bytes.size))
        return mpx_fault(MP_EPROTO, "more was put than the queue has let in");
    mpx_fifo_item_t *item = make_item(kind, bytes);
    if (!item)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", bytes.size);
    bool reserved = visitor->granted;
    drop_grant(self, visitor);
    DL_APPEND(visitor->parked, item);
    visitor->parked_items++;
    visitor->parked_bytes += bytes.size;
    self->counts.parked++;
    if (reserved || (!self->waiting && has_room(self, bytes.size)))
        admit_parked(self, visitor);
    list_waiting(self, visitor);
    fill(self);
    return MP_OK;
}

void mpx_fifo_reserve(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce, size_t bytes)
{
    drop_grant(self, visitor);
    visitor->reserving = true;
    visitor->reserve_nonce = nonce;
    visitor->reserve_bytes = bytes;
    list_waiting(self, visitor);
    fill(self);
}

mp_rc_t mpx_fifo_offer(mpx_fifo_t *self, uint32_t kind, mp_bytes_t bytes)
{
    if (self->waiting || !has_room(self, bytes.size))
        return MP_EBUSY;
    mpx_fifo_item_t *item = make_item(kind, bytes);
    if (!item)
        return mpx_fault(MP_ENOMEM, "an item of %zu bytes", bytes.size);
    self->counts.bytes += cost_of(item->size);
    admit(self, item);
    return MP_OK;
}

/* ---- consumers ---------------------------------------------------------------------------------
 */

/* Half of a fair share of a long queue; everybody's one while it is short. */
static size_t share(const mpx_fifo_t *self, const mpx_visitor_t *visitor)
{
    size_t consumers = self->consumers ? self->consumers : 1;
    size_t guided = (self->counts.queued + 2 * consumers - 1) / (2 * consumers);
    size_t most = visitor->take_count;
    if (most > self->options.batch_max)
        most = self->options.batch_max;
    if (most > visitor->pace)
        most = visitor->pace;
    if (most > guided)
        most = guided;
    return most ? most : 1;
}

/* What it used up in the time since it was given the last batch says how many it may have. */
static void set_pace(mpx_visitor_t *visitor, int64_t now)
{
    if (!visitor->last_batch)
        return;
    int64_t spent = now - visitor->last_at;
    if (spent < 1)
        spent = 1;
    size_t fits = (size_t)((int64_t)visitor->last_batch * GOAL_NS / spent);
    size_t most = visitor->pace * 2;
    visitor->pace = fits < 1 ? 1 : fits < most ? fits : most;
    if (visitor->pace > MPX_FIFO_BATCH_MAX)
        visitor->pace = MPX_FIFO_BATCH_MAX;
    visitor->last_batch = 0;
}

void mpx_fifo_take(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce, size_t count,
                   int64_t now)
{
    if (!visitor->consumes)
        self->consumers++;
    visitor->consumes = true;
    visitor->taking = count > 0;
    visitor->take_nonce = nonce;
    visitor->take_count = count;
    set_pace(visitor, now);
    list_taking(self, visitor);
}

static void forget_item(mpx_fifo_t *self, mpx_fifo_item_t *item)
{
    self->counts.given--;
    self->counts.bytes -= cost_of(item->size);
    self->counts.got++;
    if (self->options.joinable)
        self->counts.unfinished--;
    free(item);
}

/* Those of a visitor's numbers in the range; the list is in their order. */
static mpx_fifo_item_t *first_from(const mpx_visitor_t *visitor, uint64_t first)
{
    mpx_fifo_item_t *item = visitor->given;
    while (item && item->number < first)
        item = item->next;
    return item;
}

size_t mpx_fifo_settle(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first, uint64_t count)
{
    size_t found = 0;
    mpx_fifo_item_t *item = first_from(visitor, first);
    while (item && item->number - first < count) {
        mpx_fifo_item_t *next = item->next;
        DL_DELETE(visitor->given, item);
        forget_item(self, item);
        item = next;
        found++;
    }
    fill(self);
    return found;
}

/* To the head of the queue, in their order. */
static size_t put_back(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first, uint64_t count,
                       bool again)
{
    mpx_fifo_item_t *back = NULL;
    size_t found = 0;
    mpx_fifo_item_t *item = first_from(visitor, first);
    while (item && item->number - first < count) {
        mpx_fifo_item_t *next = item->next;
        DL_DELETE(visitor->given, item);
        item->number = 0;
        item->again = item->again || again;
        DL_APPEND(back, item);
        item = next;
        found++;
    }
    if (!found)
        return 0;
    DL_CONCAT(back, self->items);
    self->items = back;
    self->counts.given -= found;
    self->counts.queued += found;
    if (again)
        self->counts.again += found;
    return found;
}

size_t mpx_fifo_return(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first, uint64_t count)
{
    return put_back(self, visitor, first, count, true);
}

void mpx_fifo_withdraw_take(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t first)
{
    visitor->taking = false;
    list_taking(self, visitor);
    /* It never saw these numbers: the next ones begin there again. Those who were given something
     * since then may have later items, so to them these are out of order, and are marked. */
    bool overtaken = visitor->last_turn != self->turns;
    if (put_back(self, visitor, first, UINT64_MAX, overtaken))
        visitor->last_number = first - 1;
}

void mpx_fifo_withdraw_place(mpx_fifo_t *self, mpx_visitor_t *visitor, bool granted)
{
    visitor->reserving = false;
    if (granted)
        drop_grant(self, visitor);
    list_waiting(self, visitor);
    fill(self);
}

void mpx_fifo_watch(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    visitor->watching = true;
    self->tells++;
}

void mpx_fifo_await(mpx_fifo_t *self, mpx_visitor_t *visitor, uint64_t nonce)
{
    visitor->awaiting = true;
    visitor->await_nonce = nonce;
    self->tells++;
}

mpx_fifo_item_t *mpx_fifo_pop(mpx_fifo_t *self)
{
    mpx_fifo_item_t *item = self->items;
    if (!item)
        return NULL;
    DL_DELETE(self->items, item);
    self->counts.queued--;
    self->counts.given++;
    self->popped++;
    self->popped_cost += cost_of(item->size);
    self->turns++;
    fill(self);
    return item;
}

void mpx_fifo_drop(mpx_fifo_t *self, mpx_fifo_item_t *item)
{
    self->popped--;
    self->popped_cost -= cost_of(item->size);
    forget_item(self, item);
    self->tells++;
    fill(self);
}

void mpx_fifo_unpop(mpx_fifo_t *self, mpx_fifo_item_t *item)
{
    self->popped--;
    self->popped_cost -= cost_of(item->size);
    DL_PREPEND(self->items, item);
    self->counts.given--;
    self->counts.queued++;
}

void mpx_fifo_go(mpx_fifo_t *self, mpx_visitor_t *visitor)
{
    mpx_fifo_item_t *item, *next;
    DL_FOREACH_SAFE (visitor->parked, item, next) {
        DL_DELETE(visitor->parked, item);
        free(item);
        self->counts.parked--;
    }
    mpx_fifo_withdraw_take(self, visitor, UINT64_MAX);
    mpx_fifo_withdraw_place(self, visitor, true);
    (void)put_back(self, visitor, 0, UINT64_MAX, true);
    if (visitor->consumes)
        self->consumers--;
    DL_DELETE(self->visitors, visitor);
    self->counts.visitors--;
    free(visitor);
    fill(self);
}

/* ---- effects ------------------------------------------------------------------------------------
 */

static void give(mpx_fifo_t *self, mpx_visitor_t *visitor, int64_t now, mpx_fifo_effect_t *out)
{
    size_t most = share(self, visitor);
    size_t count = 0;
    size_t bytes = 0;
    mpx_fifo_item_t *first = self->items;
    bool again = first->again;
    while (self->items && count < most && self->items->again == again) {
        mpx_fifo_item_t *item = self->items;
        if (count && bytes + item->size > MPX_FIFO_BATCH_BYTES)
            break;
        bytes += item->size;
        DL_DELETE(self->items, item);
        item->number = ++visitor->last_number;
        DL_APPEND(visitor->given, item);
        count++;
    }
    self->counts.queued -= count;
    self->counts.given += count;
    visitor->taking = false;
    list_taking(self, visitor);
    visitor->last_batch = count;
    visitor->last_at = now;
    visitor->last_turn = ++self->turns;
    *out = (mpx_fifo_effect_t){MPX_FIFO_GIVE, visitor->tag, visitor->take_nonce, count, first};
}

static bool tell(mpx_fifo_t *self, mpx_visitor_t *visitor, mpx_fifo_effect_t *out)
{
    *out = (mpx_fifo_effect_t){.tag = visitor->tag};
    if (is_worth_telling(self, visitor)) {
        out->kind = MPX_FIFO_ADMITTED;
        out->count = visitor->admitted;
        visitor->admitted = 0;
        visitor->admitted_bytes = 0;
        visitor->hurry = visitor->parked != NULL; /* it waits for those too */
    } else if (visitor->tell_grant) {
        out->kind = MPX_FIFO_GRANT;
        out->nonce = visitor->reserve_nonce;
        visitor->tell_grant = false;
    } else if (visitor->watching && self->counts.queued) {
        out->kind = MPX_FIFO_READY;
        visitor->watching = false;
    } else if (visitor->awaiting && !self->counts.unfinished) {
        out->kind = MPX_FIFO_JOINED;
        out->nonce = visitor->await_nonce;
        visitor->awaiting = false;
    } else {
        return false;
    }
    return true;
}

/* Whether anybody can have something to be told: watching and waiting for the end stay open. */
static bool has_standing(const mpx_fifo_t *self)
{
    const mpx_visitor_t *visitor;
    DL_FOREACH (self->visitors, visitor)
        if (visitor->watching || visitor->awaiting)
            return true;
    return false;
}

bool mpx_fifo_next(mpx_fifo_t *self, int64_t now, mpx_fifo_effect_t *out)
{
    if (self->taking && self->items) {
        give(self, self->taking, now, out);
        fill(self); /* places among the items are free */
        return true;
    }
    if (!self->tells)
        return false;
    mpx_visitor_t *visitor;
    DL_FOREACH (self->visitors, visitor)
        if (tell(self, visitor, out))
            return true;
    self->tells = has_standing(self);
    return false;
}

void mpx_fifo_count(const mpx_fifo_t *self, mpx_fifo_counts_t *out)
{
    *out = self->counts;
    const mpx_visitor_t *visitor;
    DL_FOREACH (self->visitors, visitor)
        out->bytes += visitor->parked_bytes + visitor->parked_items * MPX_FIFO_ITEM_COST;
}

bool mpx_fifo_is_sound(const mpx_fifo_t *self)
{
    size_t queued = 0, parked = 0, reserved = 0, visitors = 0;
    size_t given = self->popped, bytes = self->popped_cost;
    const mpx_fifo_item_t *item;
    const mpx_visitor_t *visitor;
    DL_FOREACH (self->items, item) {
        queued++;
        bytes += cost_of(item->size);
    }
    DL_FOREACH (self->visitors, visitor) {
        uint64_t last = 0;
        visitors++;
        DL_FOREACH (visitor->given, item) {
            if (item->number <= last)
                return false;
            last = item->number;
            given++;
            bytes += cost_of(item->size);
        }
        size_t parked_items = 0, parked_bytes = 0;
        DL_FOREACH (visitor->parked, item) {
            parked_items++;
            parked_bytes += item->size;
        }
        parked += parked_items;
        reserved += visitor->granted;
        bytes += visitor->granted ? cost_of(visitor->reserve_bytes) : 0;
        if (parked_items != visitor->parked_items || parked_bytes != visitor->parked_bytes ||
            visitor->waits != (visitor->parked || visitor->reserving) ||
            visitor->takes != visitor->taking)
            return false;
    }
    const mpx_fifo_counts_t *counts = &self->counts;
    return queued == counts->queued && given == counts->given && parked == counts->parked &&
           reserved == counts->reserved && bytes == counts->bytes && visitors == counts->visitors;
}
