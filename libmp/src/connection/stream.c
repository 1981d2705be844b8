#include "stream.h"

#include "clock.h"
#include "fault.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { PART_COST = 64, CREDIT_STEP = MPX_STREAM_WINDOW / 4 };
/* A sender that has any room left sends one more part. */
static const int64_t most_ahead = MPX_STREAM_WINDOW + MPX_STREAM_PART + PART_COST;

/* A message that came, or comes. */
typedef struct message {
    struct message *prev, *next;
    uint32_t kind;
    uint64_t total;
    size_t got;
    size_t held; /* cost of its parts that no room was given back for */
    size_t room; /* of the memory */
    bool lent;   /* the memory is a receiver's own */
    unsigned char *data;
} message_t;

struct mpx_stream {
    mpx_channel_t *channel;
    /* out */
    int64_t room; /* may become negative by one part */
    bool sending;
    /* in */
    int64_t ahead;       /* cost of what came, less what was given back */
    message_t *messages; /* the last one may be unfinished */
    message_t *spare;
    uint64_t uncredited; /* cost of what was taken, and isn't given back yet */
    bool receiving;
    bool wanted;                 /* a receiver waits for the first message */
    const mpx_sink_t *lent_sink; /* its memory, for a message that begins now */
};

mp_rc_t mpx_stream_new(mpx_stream_t **out)
{
    mpx_stream_t *self = calloc(1, sizeof *self);
    if (!self)
        return mpx_fault(MP_ENOMEM, "a connection");
    self->room = MPX_STREAM_WINDOW;
    *out = self;
    return MP_OK;
}

static void free_message(message_t *message)
{
    if (!message)
        return;
    if (!message->lent)
        free(message->data);
    free(message);
}

void mpx_stream_free(mpx_stream_t **self_p)
{
    mpx_stream_t *self = *self_p;
    if (!self)
        return;
    *self_p = NULL;
    message_t *message, *next;
    DL_FOREACH_SAFE (self->messages, message, next)
        free_message(message);
    free_message(self->spare);
    free(self);
}

void mpx_stream_on(mpx_stream_t *self, mpx_channel_t *channel)
{
    self->channel = channel;
}

/* ---- arriving
 * ---------------------------------------------------------------------------------------- */

static bool is_whole(const message_t *message)
{
    return message->got == message->total;
}

static mp_rc_t give_room(mpx_stream_t *self, size_t cost)
{
    self->uncredited += cost;
    if (self->uncredited < CREDIT_STEP)
        return MP_OK;
    mpx_header_t header = {.op = MPX_OP_CREDIT, .bytes = self->uncredited};
    self->ahead -= (int64_t)self->uncredited;
    self->uncredited = 0;
    mp_rc_t rc = mpx_channel_send(self->channel, &header, (mp_bytes_t){0});
    return rc == MP_EOF || rc == MP_ECLOSED ? MP_OK : rc; /* nobody needs it any more */
}

/* Somebody waits for this message: the rest of it may come. */
static mp_rc_t pay(mpx_stream_t *self, message_t *message)
{
    size_t cost = message->held;
    message->held = 0;
    return give_room(self, cost);
}

/* By what is there, not by what is claimed. */
static bool make_room(message_t *message, size_t size)
{
    if (size <= message->room)
        return true;
    size_t room = message->room ? message->room : size;
    while (room < size)
        room *= 2;
    if (room > message->total)
        room = (size_t)message->total;
    unsigned char *grown = realloc(message->data, room ? room : 1);
    if (!grown)
        return false;
    message->data = grown;
    message->room = room;
    return true;
}

static bool fits(const mpx_sink_t *sink, const message_t *message)
{
    return sink && sink->buffer && message->total <= sink->room &&
           (!sink->only_tree || message->kind == MP_ITEM_TREE);
}

static mp_rc_t begin_message(mpx_stream_t *self, const mpx_header_t *header, message_t **out)
{
    message_t *message = self->spare ? self->spare : malloc(sizeof *message);
    if (header->kind > MP_ITEM_MESSAGE)
        return mpx_fault(MP_EPROTO, "a message of an unknown kind");
    if (!message)
        return mpx_fault(MP_ENOMEM, "a message");
    self->spare = NULL;
    *message = (message_t){.kind = header->kind, .total = header->bytes};
    if (!self->messages && fits(self->lent_sink, message)) {
        message->lent = true;
        message->data = self->lent_sink->buffer;
        message->room = self->lent_sink->room;
    }
    DL_APPEND(self->messages, message);
    *out = message;
    return MP_OK;
}

static void drop_last(mpx_stream_t *self, message_t *message)
{
    DL_DELETE(self->messages, message);
    free_message(message);
}

static mp_rc_t on_data(mpx_stream_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    message_t *message = self->messages ? self->messages->prev : NULL;
    if (message && is_whole(message))
        message = NULL;
    if (header->code) {
        size_t cost = message ? message->held : 0;
        if (message)
            drop_last(self, message);
        return give_room(self, cost);
    }
    mp_rc_t rc = message ? MP_OK : begin_message(self, header, &message);
    if (rc != MP_OK)
        return rc;
    if (payload.size > message->total - message->got || (!payload.size && message->total))
        return mpx_fault(MP_EPROTO, "a message is longer than it said, or has an empty part");
    if (!make_room(message, message->got + payload.size))
        return mpx_fault(MP_ENOMEM, "a message of %llu bytes", (unsigned long long)message->total);
    if (payload.size)
        memcpy(message->data + message->got, payload.data, payload.size);
    message->got += payload.size;
    message->held += payload.size + PART_COST;
    self->ahead += (int64_t)(payload.size + PART_COST);
    if (self->ahead > most_ahead)
        return mpx_fault(MP_EPROTO, "more came than the window has room for");
    return self->wanted && message == self->messages ? pay(self, message) : MP_OK;
}

static mp_rc_t on_message(void *arg, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_stream_t *self = arg;
    if (header->op == MPX_OP_DATA)
        return on_data(self, header, payload);
    if (header->op != MPX_OP_CREDIT)
        return mpx_fault(MP_EPROTO, "a %s on a connection", mpx_op_name(header->op));
    if (header->bytes > (uint64_t)(MPX_STREAM_WINDOW - self->room))
        return mpx_fault(MP_EPROTO, "more room than was taken");
    self->room += (int64_t)header->bytes;
    return MP_OK;
}

const mpx_channel_user_t mpx_stream_user = {.message = on_message};

/* ---- receiving
 * --------------------------------------------------------------------------------------- */

/* Ended, and told so: both are the end of what comes. */
static mp_rc_t ended(const mpx_stream_t *self)
{
    mp_rc_t rc = mpx_channel_rc(self->channel);
    if (rc == MP_ECLOSED)
        rc = MP_EOF;
    return rc == MP_OK ? MP_OK : mpx_channel_fault(self->channel, rc, "the connection");
}

bool mpx_stream_has(const mpx_stream_t *self)
{
    return self->messages || mpx_channel_rc(self->channel) != MP_OK;
}

/* Threads of one direction take turns. */
static mp_rc_t take_turn(mpx_stream_t *self, bool *busy, int64_t deadline)
{
    while (*busy)
        if (mpx_channel_wait(self->channel, deadline) == MP_ETIMEDOUT)
            return mpx_fault(MP_ETIMEDOUT, "another thread is at the connection");
    *busy = true;
    return MP_OK;
}

static void end_turn(mpx_stream_t *self, bool *busy)
{
    *busy = false;
    mpx_channel_changed(self->channel);
}

/* The receiver goes without it: what came into its memory needs another place. */
static void take_back_memory(mpx_stream_t *self)
{
    message_t *message = self->messages;
    self->lent_sink = NULL;
    if (!message || !message->lent)
        return;
    unsigned char *copy = malloc(message->got ? message->got : 1);
    if (!copy) { /* the message can't be had any more, nor what follows it */
        message->total = UINT64_MAX;
        message->data = NULL;
        message->got = message->room = 0;
    } else {
        memcpy(copy, message->data, message->got);
        message->data = copy;
        message->room = message->got;
    }
    message->lent = false;
}

static mp_rc_t check(const mpx_sink_t *sink, const message_t *message)
{
    if (sink->only_tree && message->kind != MP_ITEM_TREE)
        return mpx_fault(MP_EINVAL, "the next message is a %s, no value tree",
                         mp_item_kind_name((mp_item_kind_t)message->kind));
    if (sink->size)
        *sink->size = (size_t)message->total;
    if (message->total > sink->room)
        return mpx_fault(MP_ETOOLARGE, "the next message has %llu bytes, and there is room for %zu",
                         (unsigned long long)message->total, sink->room);
    return MP_OK;
}

/* The first message is whole. New memory is the message's own. */
static mp_rc_t hand_over(mpx_stream_t *self, const mpx_sink_t *sink)
{
    message_t *message = self->messages;
    if (sink->item) {
        if (!message->data && !(message->data = malloc(1)))
            return mpx_fault(MP_ENOMEM, "a message");
        *sink->item = (mp_item_t){(mp_item_kind_t)message->kind, message->data,
                                  (size_t)message->total, false};
        message->data = NULL;
    } else if (sink->buffer && !message->lent && message->total) {
        memcpy(sink->buffer, message->data, (size_t)message->total);
    }
    mp_rc_t rc = pay(self, message);
    DL_DELETE(self->messages, message);
    if (!message->lent)
        free(message->data);
    message->data = NULL;
    message->lent = false;
    if (self->spare)
        free(message);
    else
        self->spare = message;
    return rc;
}

/* Until the first message is whole. */
static mp_rc_t await(mpx_stream_t *self, const mpx_sink_t *sink, int64_t deadline)
{
    for (;;) {
        message_t *message = self->messages;
        mp_rc_t rc = message ? check(sink, message) : MP_OK;
        if (rc == MP_OK && message && is_whole(message))
            return MP_OK;
        if (rc == MP_OK && message)
            rc = pay(self, message);
        if (rc == MP_OK)
            rc = ended(self);
        if (rc != MP_OK)
            return rc;
        rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT && !(self->messages && is_whole(self->messages)))
            return mpx_fault(MP_ETIMEDOUT, "nothing came on the connection");
        if (rc != MP_OK && rc != MP_ETIMEDOUT)
            return rc;
    }
}

mp_rc_t mpx_stream_receive(mpx_stream_t *self, const mpx_sink_t *sink, int64_t deadline)
{
    mp_rc_t rc = take_turn(self, &self->receiving, deadline);
    if (rc != MP_OK)
        return rc;
    self->wanted = true;
    self->lent_sink = sink;
    rc = await(self, sink, deadline);
    if (rc == MP_OK)
        rc = hand_over(self, sink);
    take_back_memory(self);
    self->wanted = false;
    end_turn(self, &self->receiving);
    return rc;
}

/* ---- sending
 * ----------------------------------------------------------------------------------------- */

static mp_rc_t await_room(mpx_stream_t *self, int64_t deadline)
{
    for (;;) {
        mp_rc_t rc = ended(self);
        if (rc != MP_OK || self->room > 0)
            return rc;
        rc = mpx_channel_wait(self->channel, deadline);
        if (rc == MP_ETIMEDOUT && self->room <= 0)
            return mpx_fault(MP_ETIMEDOUT, "the other side of the connection is behind");
        if (rc != MP_OK && rc != MP_ETIMEDOUT)
            return rc;
    }
}

static mp_rc_t send_part(mpx_stream_t *self, const mpx_header_t *header, mp_bytes_t part)
{
    mp_rc_t rc = mpx_channel_send(self->channel, header, part);
    if (rc == MP_OK)
        self->room -= (int64_t)(part.size + PART_COST);
    return rc == MP_ECLOSED || rc == MP_EOF
               ? mpx_fault(MP_EOF, "the other side of the connection is gone")
               : rc;
}

static mp_rc_t send_parts(mpx_stream_t *self, mp_item_kind_t kind, mp_bytes_t bytes,
                          int64_t deadline)
{
    mpx_header_t header = {.op = MPX_OP_DATA, .kind = kind, .bytes = bytes.size};
    const unsigned char *at = bytes.data;
    size_t left = bytes.size;
    mp_rc_t rc;
    do {
        size_t size = left < MPX_STREAM_PART ? left : MPX_STREAM_PART;
        rc = self->room > 0 ? MP_OK : await_room(self, deadline);
        if (rc == MP_OK)
            rc = send_part(self, &header, (mp_bytes_t){size ? at : NULL, size});
        if (rc != MP_OK)
            break;
        at = size ? at + size : at;
        left -= size;
        header.kind = 0;
        header.bytes = 0;
    } while (left);
    /* Some of it is there: the other side shall forget it. */
    if (rc == MP_ETIMEDOUT && left < bytes.size)
        (void)mpx_channel_send(self->channel,
                               &(mpx_header_t){.op = MPX_OP_DATA, .code = MP_ECANCELLED},
                               (mp_bytes_t){0});
    return rc;
}

static int64_t cost_of(size_t size)
{
    return (int64_t)(size + (size / MPX_STREAM_PART + 1) * PART_COST);
}

mp_rc_t mpx_stream_send(mpx_stream_t *self, mp_item_kind_t kind, mp_bytes_t bytes, int timeout_ms,
                        int64_t deadline)
{
    mp_rc_t rc = take_turn(self, &self->sending, deadline);
    if (rc != MP_OK)
        return rc;
    if (self->room < cost_of(bytes.size) && bytes.size <= MPX_STREAM_WINDOW / 2)
        mpx_channel_look(self->channel);
    if (timeout_ms == 0 && self->room < cost_of(bytes.size))
        rc = mpx_fault(MP_ETIMEDOUT, "the other side of the connection is behind");
    if (rc == MP_OK)
        rc = ended(self);
    if (rc == MP_OK)
        rc = send_parts(self, kind, bytes, deadline);
    end_turn(self, &self->sending);
    return rc;
}

bool mpx_stream_is_idle(const mpx_stream_t *self, int64_t *room, uint64_t *uncredited)
{
    *room = self->room;
    *uncredited = self->uncredited;
    return !self->messages && !self->sending && !self->receiving;
}

void mpx_stream_go_on(mpx_stream_t *self, int64_t room, uint64_t uncredited)
{
    self->room = room;
    self->uncredited = uncredited;
    self->ahead = (int64_t)uncredited;
}
