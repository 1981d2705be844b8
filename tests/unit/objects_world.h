/* objects_world.h: the world of test_objects_sim: a network that loses, repeats and reorders, and a
 * manager that dies and comes back with what was committed. */
#ifndef OBJECTS_WORLD_H
#define OBJECTS_WORLD_H

#include "objects_kit.h"

enum {
    CLIENTS = 4,
    LINKS = 4096,
    MESSAGES = 8192,
    MARKS = 16384,
    SECRET = 9,
    STEP_MS = 5,
    STEPS = 800,
    LEASE_MS = 300
};

/* What a client does at once, one of each: a thread of its own for each. */
typedef enum thread { ADD, LOCK, PUT, GET, APPEND, THREADS } thread_t;

typedef enum kind { HELLO, CALL, WELCOME, ANSWER, BROKEN } kind_t;

typedef struct message {
    kind_t kind;
    int64_t at;
    size_t link;
    uint64_t first, position; /* of a CALL: answers had */
    uint32_t count;
    uint64_t tenant;
    bool resumed;
    mp_bytes_t bytes; /* owned */
} message_t;

/* A connection, as the server has it. */
typedef struct link {
    size_t client;
    uint64_t life;
    mpx_tenant_t *tenant; /* NULL: not any more */
    int64_t last_at[2];   /* of messages there and back: their order, mostly */
} link_t;

typedef struct call {
    bool active;
    uint64_t number;
    unsigned method;
    mpx_buf_t bytes;
    uint64_t mark; /* item, or value that is to be set */
    int64_t since;
} call_t;

typedef struct client {
    uint64_t life;
    size_t link; /* 0: none */
    bool ready;  /* the server has said who we are */
    int64_t asleep_until, quiet_until, ping_at;
    uint64_t tenant, next, had;
    call_t calls[THREADS];
    uint64_t token;
    int lock_state; /* 0 free, 1 held, 2 value known, 3 value set */
    uint64_t value;
    uint64_t last_item[CLIENTS]; /* fresh ones, by producer */
} client_t;

typedef struct counts {
    uint64_t done, unknown;
} counts_t;

typedef struct world {
    uint64_t random;
    bool trace, durable, calm;
    int64_t now;
    mpx_space_t *space;
    shelves_t store;
    uint64_t dict, list, queue, lock;
    client_t clients[CLIENTS];
    link_t links[LINKS];
    size_t links_count;
    message_t messages[MESSAGES];
    size_t messages_count;
    uint64_t lives, token, marks, crashes;
    counts_t add, set;
    uint64_t setter[MARKS]; /* token of who has set a value */
    uint8_t producer[MARKS], acked[MARKS], unsure[MARKS], fresh[MARKS], got[MARKS];
    uint64_t results; /* answers that came */
} world_t;

static unsigned dice(world_t *self, unsigned sides)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return (unsigned)(self->random >> 20) % sides;
}

#define TRACE(self, ...)                                                                           \
    do {                                                                                           \
        if ((self)->trace) {                                                                       \
            printf("%6lld ms  ", (long long)((self)->now / MPX_MS));                               \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

/* ---- network ----------------------------------------------------------------------------------
 */

static void post_one(world_t *self, const message_t *message, bool in_order)
{
    link_t *link = &self->links[message->link];
    int way = message->kind == HELLO || message->kind == CALL ? 0 : 1;
    ck_assert_uint_lt(self->messages_count, MESSAGES);
    message_t *own = &self->messages[self->messages_count++];
    *own = *message;
    own->at = self->now + (1 + dice(self, 30)) * MPX_MS;
    if (in_order && own->at < link->last_at[way])
        own->at = link->last_at[way];
    if (in_order)
        link->last_at[way] = own->at;
    void *copy = malloc(message->bytes.size + 1);
    if (message->bytes.size)
        memcpy(copy, message->bytes.data, message->bytes.size);
    own->bytes.data = copy;
}

static void post(world_t *self, const message_t *message)
{
    bool faults = !self->calm && message->kind != WELCOME && message->kind != HELLO;
    if (faults && dice(self, 100) < 3)
        return; /* lost */
    post_one(self, message, !faults || dice(self, 100) >= 4);
    if (faults && dice(self, 100) < 4)
        post_one(self, message, dice(self, 2));
}

/* ---- server -------------------------------------------------------------------------------------
 */

static void check_lock(world_t *self)
{
    const mpx_object_t *lock = mpx_object_find(self->space, self->lock);
    SURE(lock);
    if (!lock->as.lock.holder || lock->as.lock.token == self->token)
        return;
    ck_assert_uint_gt(lock->as.lock.token, self->token);
    self->token = lock->as.lock.token;
    TRACE(self, "lock: %s, token %llu", lock->as.lock.holder->name,
          (unsigned long long)self->token);
}

static void emit(world_t *self)
{
    mpx_space_effect_t effect;
    while (mpx_space_next(self->space, &effect)) {
        link_t *link = effect.tag;
        message_t message = {ANSWER,
                             .link = (size_t)(link - self->links),
                             .first = effect.first,
                             .count = effect.count,
                             .position = effect.position,
                             .bytes = effect.answers};
        if (effect.over != MP_OK) {
            TRACE(self, "server: client %zu is over", link->client);
            link->tenant = NULL;
            message.kind = BROKEN;
        }
        post(self, &message);
    }
}

static mp_rc_t store_changes(world_t *self)
{
    mpx_pen_t pen = shelves_pen(&self->store);
    if (!self->calm && dice(self, 400) == 0) {
        shelves_t before = shelves_copy(&self->store);
        self->store.fail_after = (int)dice(self, 3);
        mp_rc_t rc = mpx_space_write(self->space, &pen);
        self->store.fail_after = -1;
        if (rc == MP_OK)
            rc = MP_ENOSPACE;
        shelves_free(&self->store);
        self->store = before;
        TRACE(self, "server: the disk is full");
        return rc;
    }
    return mpx_space_write(self->space, &pen);
}

/* What was changed is stored, and only then told. */
static void settle_server(world_t *self)
{
    SURE(mpx_space_is_sound(self->space));
    check_lock(self);
    for (int i = 0; i < 3 && mpx_space_is_changed(self->space); i++) {
        mpx_space_committed(self->space, self->now, store_changes(self));
        SURE(mpx_space_is_sound(self->space));
        check_lock(self);
    }
    if (!mpx_space_is_changed(self->space))
        emit(self);
}

static void start_server(world_t *self)
{
    mpx_space_options_t options = {.lease_ns = LEASE_MS * MPX_MS,
                                   .answer_bytes = 2000,
                                   .wall_ms = 1000000,
                                   .server = SERVER,
                                   .durable = self->durable};
    OK(mpx_space_new(&options, &self->space));
    for (size_t i = 0; i < self->store.count; i++)
        OK(mpx_space_load(self->space, self->store.records[i].shelf,
                          mpx_buf_bytes(&self->store.records[i].key),
                          mpx_buf_bytes(&self->store.records[i].value)));
    OK(mpx_space_loaded(self->space, self->now));
    SURE(mpx_space_is_sound(self->space));
}

static void crash_server(world_t *self)
{
    mpx_pen_t pen = shelves_pen(&self->store);
    if (dice(self, 2)) /* committed, but nobody was told */
        OK(mpx_space_write(self->space, &pen));
    TRACE(self, "server: dies");
    self->crashes++;
    mpx_space_destroy(&self->space);
    start_server(self);
    for (size_t i = 1; i < self->links_count; i++) {
        link_t *link = &self->links[i];
        if (link->tenant)
            post_one(self, &(message_t){BROKEN, .link = i}, true);
        link->tenant = NULL;
    }
}

static void greet(world_t *self, const message_t *message)
{
    link_t *link = &self->links[message->link];
    mpx_tenant_t *tenant = mpx_space_find(self->space, message->tenant, SECRET);
    char name[32];
    bool resumed = tenant != NULL;
    for (size_t i = 1; resumed && i < self->links_count; i++)
        if (self->links[i].tenant == tenant)
            self->links[i].tenant = NULL;
    snprintf(name, sizeof name, "c%zu.%llu", link->client, (unsigned long long)link->life);
    if (resumed)
        mpx_space_attach(self->space, self->now, tenant, link);
    else
        OK(mpx_space_come(self->space, self->now, name, SECRET, link, &tenant));
    link->tenant = tenant;
    post(self, &(message_t){WELCOME, .link = message->link, .tenant = mpx_tenant_number(tenant),
                            .resumed = resumed});
}

static void serve(world_t *self, const message_t *message)
{
    link_t *link = &self->links[message->link];
    if (message->kind == HELLO) {
        greet(self, message);
    } else if (message->kind == CALL && link->tenant) {
        mp_rc_t rc = mpx_space_call(self->space, self->now, link->tenant, message->first,
                                    message->count, message->position, message->bytes);
        if (rc != MP_OK) {
            TRACE(self, "server: client %zu: %s", link->client, mp_errmsg());
            mpx_space_detach(self->space, self->now, link->tenant);
            link->tenant = NULL;
            post_one(self, &(message_t){BROKEN, .link = message->link}, true);
        }
    }
    settle_server(self);
}

#endif
