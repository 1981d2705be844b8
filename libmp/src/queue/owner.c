#include "owner_private.h"

#include "clock.h"
#include "fault.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

/* ---- effects
 * ------------------------------------------------------------------------------------- */

static mp_rc_t gather(mpx_owner_t *self, const mpx_fifo_effect_t *effect)
{
    const mpx_fifo_item_t *item = effect->items;
    mpx_buf_clear(&self->parcels);
    for (size_t i = 0; i < effect->count; i++, item = item->next) {
        uint8_t *at = mpx_buf_reserve(&self->parcels, MPX_PARCEL_HEAD + item->size);
        if (!at)
            return mpx_fault(MP_ENOMEM, "%zu items to give", effect->count);
        mpx_parcel_head(at, item->kind, item->size);
        if (item->size)
            memcpy(at + MPX_PARCEL_HEAD, item->bytes, item->size);
        self->parcels.size += MPX_PARCEL_HEAD + item->size;
    }
    return MP_OK;
}

static mp_rc_t give(mpx_owner_t *self, mpx_guest_t *guest, const mpx_fifo_effect_t *effect)
{
    mpx_header_t header = {
        .op = MPX_OP_GIVE,
        .nonce = effect->nonce,
        .first = effect->items->number,
        .count = (uint32_t)effect->count,
        .attempt = effect->items->again ? 2 : 0,
    };
    mp_rc_t rc = gather(self, effect);
    if (rc == MP_OK)
        rc = mpx_guest_send(guest, &header, mpx_buf_bytes(&self->parcels));
    if (self->parcels.room > (1 << 20))
        mpx_buf_free(&self->parcels);
    return rc;
}

static mp_rc_t tell(mpx_owner_t *self, mpx_guest_t *guest, const mpx_fifo_effect_t *effect)
{
    static const mpx_op_t ops[] = {
        [MPX_FIFO_ADMITTED] = MPX_OP_ADMITTED,
        [MPX_FIFO_GRANT] = MPX_OP_GRANT,
        [MPX_FIFO_READY] = MPX_OP_READY,
        [MPX_FIFO_JOINED] = MPX_OP_JOINED,
    };
    if (effect->kind == MPX_FIFO_GIVE)
        return give(self, guest, effect);
    mpx_header_t header = {
        .op = ops[effect->kind],
        .nonce = effect->nonce,
        .count = (uint32_t)effect->count,
    };
    return mpx_guest_send(guest, &header, (mp_bytes_t){0});
}

/* A guest that can't be told is sent away: what it was given goes back when it is gone. */
static void run_effects(mpx_owner_t *self)
{
    mpx_fifo_effect_t effect;
    int64_t now = mpx_now();
    while (mpx_fifo_next(self->fifo, now, &effect)) {
        mpx_guest_t *guest = effect.tag;
        mp_rc_t rc = tell(self, guest, &effect);
        if (rc != MP_OK && rc != MP_ECLOSED)
            mpx_guest_dismiss(guest, rc);
    }
}

void mpx_owner_act(mpx_owner_t *self)
{
    mpx_fifo_counts_t counts;
    run_effects(self);
    pthread_cond_broadcast(&self->changed);
    if (!self->watched)
        return;
    mpx_fifo_count(self->fifo, &counts);
    if (counts.queued || self->closed) {
        self->watched = false;
        (void)!write(self->wake, &(uint64_t){1}, sizeof(uint64_t));
    }
}

/* ---- visitors
 * ------------------------------------------------------------------------------------ */

static bool is_small(const mp_queue_options_t *queue)
{
    return queue->maxsize && queue->maxsize <= MPX_SMALL_MAXSIZE;
}

static mp_rc_t on_come(void *object, mpx_guest_t *guest, mpx_admit_t *out)
{
    mpx_owner_t *self = object;
    const mp_queue_options_t *queue = &self->options.queue;
    mpx_visitor_t *visitor = mpx_fifo_come(self->fifo, guest);
    if (!visitor)
        return mpx_fault(MP_ENOMEM, "a visitor");
    mpx_guest_set(guest, visitor);
    out->window_items = is_small(queue) ? 0 : MPX_WINDOW_ITEMS;
    out->window_bytes = MPX_WINDOW_BYTES;
    out->max_item_bytes = queue->max_item_bytes;
    out->joinable = queue->joinable;
    out->explicitly = queue->settle_explicitly;
    return MP_OK;
}

static void on_gone(void *object, mpx_guest_t *guest)
{
    mpx_owner_t *self = object;
    mpx_visitor_t *visitor = mpx_guest_get(guest);
    mpx_guest_set(guest, NULL);
    if (visitor)
        mpx_fifo_go(self->fifo, visitor);
    mpx_owner_act(self);
}

static void on_quiet(void *object)
{
    mpx_owner_act(object);
}

static mp_rc_t on_put(mpx_owner_t *self, mpx_visitor_t *visitor, const mpx_header_t *header,
                      mp_bytes_t payload)
{
    uint32_t kind;
    mp_bytes_t item;
    mp_rc_t rc = MP_OK;
    for (uint32_t i = 0; i < header->count && rc == MP_OK; i++) {
        rc = mpx_parcel_next(&payload, &kind, &item);
        if (rc == MP_OK && item.size > self->options.queue.max_item_bytes)
            rc = mpx_fault(MP_ETOOLARGE, "an item of %zu bytes in a queue that takes %zu",
                           item.size, self->options.queue.max_item_bytes);
        if (rc == MP_OK)
            rc = mpx_fifo_put(self->fifo, visitor, kind, item);
    }
    if (rc == MP_EOF || (rc == MP_OK && payload.size))
        rc = mpx_fault(MP_EPROTO, "a PUT doesn't hold the %u items that it says", header->count);
    return rc;
}

/* What it was granted or given before must be on its way before the answer is. */
static mp_rc_t on_withdraw(mpx_owner_t *self, mpx_guest_t *guest, const mpx_header_t *header)
{
    enum { PLACE = 1 };
    mpx_visitor_t *visitor = mpx_guest_get(guest);
    run_effects(self);
    if (header->kind == PLACE)
        mpx_fifo_withdraw_place(self->fifo, visitor, header->first != UINT64_MAX);
    else
        mpx_fifo_withdraw_take(self->fifo, visitor, header->first);
    mpx_header_t answer = {.op = MPX_OP_WITHDRAWN, .nonce = header->nonce, .kind = header->kind};
    return mpx_guest_send(guest, &answer, (mp_bytes_t){0});
}

static mp_rc_t on_ask(mpx_owner_t *self, mpx_guest_t *guest, const mpx_header_t *header)
{
    mpx_fifo_counts_t counts;
    mpx_buf_t body = {0};
    mpx_fifo_hurry(self->fifo, mpx_guest_get(guest));
    run_effects(self);
    mpx_fifo_count(self->fifo, &counts);
    mpx_queue_stat_t stat = {
        .size = counts.queued,
        .prefetched = counts.given,
        .waiting = counts.parked,
        .bytes = counts.bytes,
        .unfinished = counts.unfinished,
        .maxsize = self->options.queue.maxsize,
        .peers = counts.visitors,
        .put = counts.put,
        .got = counts.got,
        .redelivered = counts.again,
    };
    mp_rc_t rc = mpx_queue_stat_pack(&stat, &body);
    if (rc == MP_OK)
        rc = mpx_guest_send(guest, &(mpx_header_t){.op = MPX_OP_TELL, .nonce = header->nonce},
                            mpx_buf_bytes(&body));
    mpx_buf_free(&body);
    return rc;
}

static mp_rc_t on_message(void *object, mpx_guest_t *guest, const mpx_header_t *header,
                          mp_bytes_t payload)
{
    mpx_owner_t *self = object;
    mpx_visitor_t *visitor = mpx_guest_get(guest);
    switch (header->op) {
    case MPX_OP_PUT:
        return on_put(self, visitor, header, payload);
    case MPX_OP_TAKE:
        mpx_fifo_take(self->fifo, visitor, header->nonce, header->count, mpx_now());
        return MP_OK;
    case MPX_OP_SETTLE:
        (void)mpx_fifo_settle(self->fifo, visitor, header->first, header->count);
        return MP_OK;
    case MPX_OP_RETURN:
        (void)mpx_fifo_return(self->fifo, visitor, header->first, header->count);
        return MP_OK;
    case MPX_OP_RESERVE:
        if (header->bytes > self->options.queue.max_item_bytes)
            return mpx_fault(MP_ETOOLARGE, "a place for an item that the queue doesn't take");
        mpx_fifo_reserve(self->fifo, visitor, header->nonce, header->bytes);
        return MP_OK;
    case MPX_OP_WITHDRAW:
        return on_withdraw(self, guest, header);
    case MPX_OP_ASK:
        return on_ask(self, guest, header);
    case MPX_OP_WATCH:
        mpx_fifo_watch(self->fifo, visitor);
        return MP_OK;
    case MPX_OP_JOIN:
        mpx_fifo_await(self->fifo, visitor, header->nonce);
        return MP_OK;
    default:
        return mpx_fault(MP_EPROTO, "a %s is nothing for a queue", mpx_op_name(header->op));
    }
}

static const mpx_class_t class = {
    .come = on_come, .message = on_message, .gone = on_gone, .quiet = on_quiet};

/* ---- life
 * ------------------------------------------------------------------------------------------ */

static mp_rc_t open_entries(mpx_owner_t *self)
{
    static const mpx_key_t no_key;
    const mpx_owner_options_t *options = &self->options;
    mp_rc_t rc = MP_OK;
    if (options->queue.endpoint) {
        mpx_link_options_t link = {
            .no_lane = options->queue.no_lane,
            .max_message_bytes = options->queue.max_item_bytes + MPX_MESSAGE_SLACK,
            .max_ahead_bytes = options->queue.max_item_bytes + MPX_WINDOW_BYTES + MPX_AHEAD_SLACK};
        rc = mpx_hub_new(options->queue.endpoint, &link, &self->hub);
    }
    if (rc != MP_OK)
        return rc;
    mpx_entry_t entry = {
        .door = MPX_DOOR_QUEUE, .id = options->id, .class = &class, .object = self};
    self->entries[0] = entry;
    self->entries[0].secret = options->secret;
    self->entries[0].key = &no_key;
    mpx_entry_open(&self->entries[0], options->reception);
    if (self->hub) {
        self->entries[1] = entry;
        self->entries[1].key = options->key;
        mpx_entry_open(&self->entries[1], self->hub);
    }
    return MP_OK;
}

mp_rc_t mpx_owner_new(const mpx_owner_options_t *options, mpx_owner_t **out)
{
    mpx_owner_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a queue");
    self->options = *options;
    self->wake = -1;
    self->keeps = options->queue.joinable || options->queue.settle_explicitly;
    mpx_condition_init(&self->changed);
    const mp_queue_options_t *queue = &options->queue;
    bool small = is_small(queue);
    mpx_fifo_options_t fifo = {
        .maxsize = queue->maxsize,
        .max_bytes = queue->max_bytes,
        /* Of a small queue nobody takes more than it uses now. */
        .batch_max = small ? 1 : 0,
        .by_place = small,
        .window_items = MPX_WINDOW_ITEMS,
        .window_bytes = MPX_WINDOW_BYTES,
        .tell_items = MPX_WINDOW_ITEMS / 4,
        .tell_bytes = MPX_WINDOW_BYTES / 4,
        .joinable = queue->joinable,
    };
    mp_rc_t rc = mpx_fifo_new(&fifo, &self->fifo);
    if (rc == MP_OK)
        rc = open_entries(self);
    if (rc != MP_OK) {
        mpx_fifo_destroy(&self->fifo);
        pthread_cond_destroy(&self->changed);
        free(self);
        return rc;
    }
    self->options.queue.endpoint = NULL; /* the caller's memory */
    *out = self;
    return MP_OK;
}

const char *mpx_owner_endpoint(const mpx_owner_t *self)
{
    return self->hub ? mpx_hub_endpoint(self->hub) : NULL;
}

void mpx_owner_destroy(mpx_owner_t **self_p)
{
    enum { LINGER_MS = 1000 };
    mpx_owner_t *self = *self_p;
    *self_p = NULL;
    self->closed = true;
    mpx_entry_close(&self->entries[0], MP_ECLOSED);
    mpx_entry_close(&self->entries[1], MP_ECLOSED);
    while (self->users) {
        pthread_cond_broadcast(&self->changed);
        (void)mpx_service_wait(&self->changed, MPX_NEVER);
    }
    mpx_hub_destroy(&self->hub, LINGER_MS);
    mpx_held_t *held, *next;
    DL_FOREACH_SAFE (self->held, held, next) {
        free(held->item);
        free(held);
    }
    mpx_fifo_destroy(&self->fifo);
    mpx_buf_free(&self->parcels);
    if (self->wake >= 0)
        close(self->wake);
    pthread_cond_destroy(&self->changed);
    free(self);
}
