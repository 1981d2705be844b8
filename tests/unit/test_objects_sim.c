/* Clients, a network and a manager, simulated by a seed: messages are lost, late, repeated and
 * reordered, connections break, clients die and sleep through their lease, the disk is full, the
 * server dies and comes back with what was committed. A history is checked: no lock has two
 * holders, no acknowledged change is lost, no failed one is there, each item of the queue comes
 * once, in order, but for who died with it.
 *
 *     test_objects_sim               a hundred seeds
 *     test_objects_sim SEED          one, with a trace
 *     test_objects_sim SEED COUNT    so many from there on
 */
#include "objects_world.h"

/* ---- clients ------------------------------------------------------------------------------------
 */

static void lose_link(world_t *self, client_t *client)
{
    link_t *link = &self->links[client->link];
    /* The server notices, or it doesn't until the next one comes. */
    if (client->link && link->tenant && dice(self, 2)) {
        mpx_space_detach(self->space, self->now, link->tenant);
        link->tenant = NULL;
        settle_server(self);
    }
    client->link = 0;
    client->ready = false;
    client->quiet_until = self->now + dice(self, 60) * MPX_MS;
}

static void not_known(world_t *self, call_t *call)
{
    if (!call->active)
        return;
    if (call->method == MPX_MAP_ADD)
        self->add.unknown++;
    else if (call->method == MPX_MAP_SET)
        self->set.unknown++;
    else if (call->method == MPX_QUEUE_PUT || call->method == MPX_LIST_APPEND)
        self->unsure[call->mark] = 1;
    call->active = false;
    mpx_buf_free(&call->bytes);
}

/* It is somebody new to the server: what was under way may have happened or not. */
static void begin_anew(world_t *self, client_t *client)
{
    for (int i = 0; i < THREADS; i++)
        not_known(self, &client->calls[i]);
    client->next = 1;
    client->had = 0;
    client->lock_state = 0;
    memset(client->last_item, 0, sizeof client->last_item);
}

static void die(world_t *self, client_t *client)
{
    TRACE(self, "client %d: dies", (int)(client - self->clients));
    lose_link(self, client);
    begin_anew(self, client);
    client->life = ++self->lives;
    client->tenant = 0;
}

static void send_call(world_t *self, client_t *client, const call_t *call)
{
    post(self, &(message_t){CALL, .link = client->link, .first = call ? call->number : client->next,
                            .count = call != NULL, .position = client->had,
                            .bytes = call ? mpx_buf_bytes(&call->bytes) : (mp_bytes_t){"", 0}});
    client->ping_at = self->now + LEASE_MS / 4 * MPX_MS;
}

static call_t *begin(world_t *self, client_t *client, thread_t thread, unsigned method)
{
    call_t *call = &client->calls[thread];
    ck_assert(!call->active);
    *call =
        (call_t){.active = true, .number = client->next++, .method = method, .since = self->now};
    return call;
}

/* The next mark; 0 none is left. */
static uint64_t mark_for(world_t *self, const client_t *client)
{
    if (self->marks + 1 >= MARKS)
        return 0;
    self->producer[++self->marks] = (uint8_t)(client - self->clients);
    return self->marks;
}

static call_t *begin_lock(world_t *self, client_t *client)
{
    call_t *call;
    switch (client->lock_state) {
    case 0:
        call = begin(self, client, LOCK, MPX_LOCK_ACQUIRE);
        add_operation(&call->bytes, self->lock, MPX_LOCK_ACQUIRE, 400, "n", 1);
        return call;
    case 1:
        call = begin(self, client, LOCK, MPX_MAP_GET);
        add_operation(&call->bytes, self->dict, MPX_MAP_GET, 0, "s", "g");
        return call;
    case 2: {
        mpx_buf_t arguments = {0};
        uint8_t head[MPX_OPERATION_HEAD];
        call = begin(self, client, LOCK, MPX_MAP_SET);
        call->mark = client->value + 1;
        OK(mpx_parcel_add_number(&arguments, self->lock));
        OK(mpx_parcel_add_number(&arguments, client->token));
        mpx_buf_t key = {0}, value = {0};
        OK(mpx_node_add_str(&key, "g", 1));
        OK(mpx_node_add_int(&value, (int64_t)call->mark));
        OK(mpx_parcel_add(&arguments, MP_ITEM_TREE, mpx_buf_bytes(&key)));
        OK(mpx_parcel_add(&arguments, MP_ITEM_TREE, mpx_buf_bytes(&value)));
        mpx_operation_t set = {.method = MPX_MAP_SET,
                               .flags = MPX_OPERATION_GUARDED,
                               .object = self->dict,
                               .arguments = mpx_buf_bytes(&arguments)};
        mpx_operation_head(head, &set);
        OK(mpx_buf_add(&call->bytes, head, sizeof head));
        OK(mpx_buf_add(&call->bytes, arguments.data, arguments.size));
        mpx_buf_free(&arguments);
        mpx_buf_free(&key);
        mpx_buf_free(&value);
        return call;
    }
    default:
        call = begin(self, client, LOCK, MPX_LOCK_RELEASE);
        add_operation(&call->bytes, self->lock, MPX_LOCK_RELEASE, 0, "n", 1);
        return call;
    }
}

static call_t *begin_other(world_t *self, client_t *client, thread_t thread)
{
    call_t *call;
    uint64_t mark = thread == PUT || thread == APPEND ? mark_for(self, client) : 1;
    if (!mark)
        return NULL;
    if (thread == ADD) {
        call = begin(self, client, ADD, MPX_MAP_ADD);
        add_operation(&call->bytes, self->dict, MPX_MAP_ADD, 0, "si", "n", 1);
    } else if (thread == PUT) {
        call = begin(self, client, PUT, MPX_QUEUE_PUT);
        add_operation(&call->bytes, self->queue, MPX_QUEUE_PUT, 300, "I", mark);
    } else if (thread == GET) {
        call = begin(self, client, GET, MPX_QUEUE_GET);
        add_operation(&call->bytes, self->queue, MPX_QUEUE_GET, 300, "n", 7);
    } else {
        call = begin(self, client, APPEND, MPX_LIST_APPEND);
        add_operation(&call->bytes, self->list, MPX_LIST_APPEND, 0, "I", mark);
    }
    call->mark = mark;
    return call;
}

static void act(world_t *self, client_t *client)
{
    size_t index = (size_t)(client - self->clients);
    if (self->now < client->asleep_until || self->now < client->quiet_until)
        return;
    if (!client->link) {
        ck_assert_uint_lt(self->links_count, LINKS);
        client->link = self->links_count++;
        self->links[client->link] = (link_t){.client = index, .life = client->life};
        client->quiet_until = self->now + 500 * MPX_MS; /* for the welcome */
        post(self, &(message_t){HELLO, .link = client->link, .tenant = client->tenant});
        return;
    }
    if (!client->ready) { /* no welcome */
        lose_link(self, client);
        return;
    }
    for (int i = 0; i < THREADS; i++) {
        call_t *call = &client->calls[i];
        if (call->active && self->now - call->since > 1000 * MPX_MS) {
            TRACE(self, "client %zu: no answer to %llu (%s)", index,
                  (unsigned long long)call->number, mpx_method_name(call->method));
            call->since = self->now;
            lose_link(self, client); /* and asks again on another one */
            return;
        }
        bool goes_on = i == LOCK && client->lock_state;
        if (call->active || (self->calm && !goes_on) || dice(self, 3))
            continue;
        call = i == LOCK ? begin_lock(self, client) : begin_other(self, client, (thread_t)i);
        if (call)
            send_call(self, client, call);
    }
    if (self->now >= client->ping_at)
        send_call(self, client, NULL);
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static int64_t int_in(mp_bytes_t *results)
{
    uint32_t kind = 0;
    mp_bytes_t item = {NULL, 0};
    int64_t value = -1;
    OK(mpx_parcel_next(results, &kind, &item));
    ck_assert(mpx_node_int(item, &value));
    return value;
}

static void got_item(world_t *self, client_t *client, mp_bytes_t results)
{
    uint64_t item = (uint64_t)int_in(&results), again = 0;
    OK(mpx_parcel_next_number(&results, &again));
    ck_assert_uint_le(item, self->marks);
    self->got[item] = 1;
    if (again || self->crashes) /* a restarted server doesn't know what it had given */
        return;
    ck_assert_msg(!self->fresh[item], "item %llu came twice", (unsigned long long)item);
    self->fresh[item] = 1;
    if (!client)
        return;
    uint64_t *last = &client->last_item[self->producer[item]];
    ck_assert_uint_gt(item, *last);
    *last = item;
}

static void note_set(world_t *self, const client_t *client, const call_t *call)
{
    ck_assert_uint_lt(call->mark, MARKS);
    ck_assert_msg(!self->setter[call->mark], "value %llu was set by two",
                  (unsigned long long)call->mark);
    self->setter[call->mark] = client->token;
    self->set.done++;
}

static void lock_answer(world_t *self, client_t *client, const call_t *call, mp_rc_t rc,
                        mp_bytes_t results)
{
    bool well = rc == MP_OK || rc == MP_EOWNERDEAD;
    if (call->method == MPX_LOCK_ACQUIRE && well) {
        OK(mpx_parcel_next_number(&results, &client->token));
        client->lock_state = 1;
    } else if (call->method == MPX_MAP_GET && well) {
        client->value = (uint64_t)int_in(&results);
        client->lock_state = 2;
    } else if (call->method == MPX_MAP_SET && well) {
        note_set(self, client, call);
        client->lock_state = 3;
    } else if (call->method == MPX_LOCK_RELEASE) {
        client->lock_state = 0;
    } else if (client->lock_state) {
        client->lock_state = 3;
    }
}

static void take_answer(world_t *self, client_t *client, call_t *call, const mpx_answer_t *answer)
{
    mp_rc_t rc = answer->rc;
    TRACE(self, "client %d: %s %llu: %s", (int)(client - self->clients),
          mpx_method_name(call->method), (unsigned long long)call->mark, mp_errname(rc));
    self->results++;
    switch ((thread_t)(call - client->calls)) {
    case ADD:
        self->add.done += rc == MP_OK;
        break;
    case LOCK:
        lock_answer(self, client, call, rc, answer->results);
        break;
    case PUT:
    case APPEND:
        self->acked[call->mark] = rc == MP_OK;
        break;
    default:
        if (rc == MP_OK)
            got_item(self, client, answer->results);
        break;
    }
    call->active = false;
    mpx_buf_free(&call->bytes);
}

static bool take_answers(world_t *self, client_t *client, const message_t *message)
{
    mp_bytes_t rest = message->bytes;
    if (message->position > client->had + 1)
        return false; /* one is missing */
    for (uint32_t i = 0; i < message->count; i++) {
        mpx_answer_t answer;
        OK(mpx_answer_next(&rest, &answer));
        if (message->position + i <= client->had)
            continue;
        client->had++;
        call_t *call = NULL;
        for (int j = 0; j < THREADS; j++)
            if (client->calls[j].active && client->calls[j].number == message->first + i)
                call = &client->calls[j];
        ck_assert_ptr_nonnull(call);
        take_answer(self, client, call, &answer);
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    const call_t *left = *(call_t *const *)a, *right = *(call_t *const *)b;
    return (left->number > right->number) - (left->number < right->number);
}

static void be_welcomed(world_t *self, client_t *client, const message_t *message)
{
    call_t *again[THREADS];
    size_t count = 0;
    if (!message->resumed)
        begin_anew(self, client);
    client->tenant = message->tenant;
    client->ready = true;
    client->quiet_until = self->now;
    for (int i = 0; i < THREADS; i++)
        if (client->calls[i].active)
            again[count++] = &client->calls[i];
    qsort(again, count, sizeof *again, by_number);
    for (size_t i = 0; i < count; i++)
        send_call(self, client, again[i]);
}

static void receive(world_t *self, const message_t *message)
{
    const link_t *link = &self->links[message->link];
    client_t *client = &self->clients[link->client];
    if (client->link != message->link || client->life != link->life)
        return; /* of an old connection */
    if (message->kind == WELCOME)
        be_welcomed(self, client, message);
    else if (message->kind == BROKEN || (client->ready && !take_answers(self, client, message)))
        lose_link(self, client);
}

/* ---- the run
 * -------------------------------------------------------------------------------------- */

/* Those that are due, the oldest first; who sleeps gets them later. */
static void deliver(world_t *self)
{
    for (;;) {
        size_t found = self->messages_count;
        for (size_t i = 0; i < self->messages_count; i++) {
            const message_t *one = &self->messages[i];
            bool to_server = one->kind == HELLO || one->kind == CALL;
            const client_t *client = &self->clients[self->links[one->link].client];
            if (one->at <= self->now && (to_server || self->now >= client->asleep_until) &&
                (found == self->messages_count || one->at < self->messages[found].at))
                found = i;
        }
        if (found == self->messages_count)
            return;
        message_t message = self->messages[found];
        memmove(&self->messages[found], &self->messages[found + 1],
                (--self->messages_count - found) * sizeof message);
        if (message.kind == HELLO || message.kind == CALL)
            serve(self, &message);
        else
            receive(self, &message);
        free((void *)(uintptr_t)message.bytes.data);
    }
}

static void step(world_t *self)
{
    self->now += STEP_MS * MPX_MS;
    mpx_space_tick(self->space, self->now);
    settle_server(self);
    deliver(self);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_t *client = &self->clients[i];
        unsigned chance = self->calm ? 1000 : dice(self, 1000);
        if (chance < 2) {
            die(self, client);
        } else if (chance < 4) {
            client->asleep_until = self->now + dice(self, 3 * LEASE_MS) * MPX_MS;
            TRACE(self, "client %zu: sleeps", i);
        } else if (chance < 7) {
            lose_link(self, client);
        }
        act(self, client);
    }
    if (self->durable && !self->calm && dice(self, 400) == 0)
        crash_server(self);
}

static bool is_idle(const world_t *self)
{
    for (size_t i = 0; i < CLIENTS; i++)
        for (int j = 0; j < THREADS; j++)
            if (self->clients[i].calls[j].active || self->clients[i].lock_state)
                return false;
    return true;
}

/* One operation of an auditor's, answered at once. Results stay valid until the next one. */
static mp_rc_t audit(world_t *self, mpx_tenant_t *tenant, uint64_t number, mpx_buf_t *operation,
                     mpx_buf_t *results)
{
    mpx_space_effect_t effect;
    mpx_answer_t answer = {MP_OK, {NULL, 0}};
    OK(mpx_space_call(self->space, self->now, tenant, number, 1, number - 1,
                      mpx_buf_bytes(operation)));
    mpx_buf_free(operation);
    mpx_pen_t pen = shelves_pen(&self->store);
    while (mpx_space_is_changed(self->space))
        mpx_space_committed(self->space, self->now, mpx_space_write(self->space, &pen));
    mpx_buf_clear(results);
    while (mpx_space_next(self->space, &effect)) {
        mp_bytes_t rest = effect.answers;
        if (effect.over != MP_OK)
            continue;
        OK(mpx_answer_next(&rest, &answer));
        OK(mpx_buf_add(results, answer.results.data, answer.results.size));
    }
    return answer.rc;
}

static int64_t audit_int(world_t *self, mpx_tenant_t *tenant, uint64_t number, const char *key)
{
    mpx_buf_t operation = {0}, results = {0};
    add_operation(&operation, self->dict, MPX_MAP_GET, 0, "s", key);
    OK(audit(self, tenant, number, &operation, &results));
    mp_bytes_t rest = mpx_buf_bytes(&results);
    int64_t value = int_in(&rest);
    mpx_buf_free(&results);
    return value;
}

static void audit_queue(world_t *self, mpx_tenant_t *tenant, uint64_t number)
{
    mpx_buf_t operation = {0}, results = {0};
    for (;; number++) {
        add_operation(&operation, self->queue, MPX_QUEUE_GET, 0, "n", 1);
        mp_rc_t rc = audit(self, tenant, number, &operation, &results);
        if (rc == MP_EEMPTY)
            break;
        OK(rc);
        got_item(self, NULL, mpx_buf_bytes(&results));
    }
    mpx_buf_free(&results);
}

static void audit_list(world_t *self, mpx_tenant_t *tenant)
{
    mpx_buf_t operation = {0}, results = {0};
    uint32_t kind;
    mp_bytes_t tree, node;
    size_t count;
    add_operation(&operation, self->list, MPX_LIST_GET_SLICE, 0, "NNn", INT64_MIN, INT64_MIN, 1);
    OK(audit(self, tenant, 3, &operation, &results));
    mp_bytes_t rest = mpx_buf_bytes(&results);
    OK(mpx_parcel_next(&rest, &kind, &tree));
    ck_assert(mpx_node_enter(&tree, MP_TREE_LIST, &count));
    for (size_t i = 0; i < count; i++) {
        int64_t mark = 0;
        OK(mpx_node_next(&tree, &node, NULL));
        ck_assert(mpx_node_int(node, &mark));
        ck_assert_msg(!self->got[mark], "%lld is there twice", (long long)mark);
        ck_assert_msg(self->acked[mark] || self->unsure[mark], "%lld failed, and is there",
                      (long long)mark);
        self->got[mark] = 1;
    }
    mpx_buf_free(&results);
}

static void check_history(world_t *self)
{
    mpx_tenant_t *tenant;
    OK(mpx_space_come(self->space, self->now, "auditor", 1, &self->links[0], &tenant));
    int64_t sum = audit_int(self, tenant, 1, "n"), set = audit_int(self, tenant, 2, "g");
    audit_list(self, tenant);
    audit_queue(self, tenant, 4);
    TRACE(self, "%lld added, %llu told, %llu unknown; %lld set, %llu told, %llu unknown",
          (long long)sum, (unsigned long long)self->add.done, (unsigned long long)self->add.unknown,
          (long long)set, (unsigned long long)self->set.done,
          (unsigned long long)self->set.unknown);
    ck_assert_int_ge(sum, (int64_t)self->add.done);
    ck_assert_int_le(sum, (int64_t)(self->add.done + self->add.unknown));
    ck_assert_int_ge(set, (int64_t)self->set.done);
    ck_assert_int_le(set, (int64_t)(self->set.done + self->set.unknown));
    uint64_t token = 0;
    for (size_t i = 0; i < MARKS; i++) {
        if (self->setter[i]) {
            ck_assert_uint_gt(self->setter[i], token);
            token = self->setter[i];
        }
        ck_assert_msg(!self->acked[i] || self->got[i], "%zu was lost", i);
        ck_assert_msg(!self->got[i] || self->acked[i] || self->unsure[i],
                      "%zu failed, and is there", i);
    }
}

static void prepare(world_t *self)
{
    static const making_t makings[] = {
        {.type = MP_OBJECT_DICT, .name = "dict", .initial = "{\"n\":0,\"g\":0}"},
        {.type = MP_OBJECT_LIST, .name = "list"},
        {.type = MP_OBJECT_QUEUE, .name = "queue", .max_items = 10},
        {.type = MP_OBJECT_LOCK, .name = "lock"}};
    uint64_t *ids[] = {&self->dict, &self->list, &self->queue, &self->lock};
    mpx_buf_t operation = {0}, results = {0};
    mpx_tenant_t *tenant;
    self->links_count = 1;
    start_server(self);
    OK(mpx_space_come(self->space, self->now, "first", 1, &self->links[0], &tenant));
    for (uint64_t i = 0; i < 4; i++) {
        add_making(&operation, &makings[i]);
        OK(audit(self, tenant, i + 1, &operation, &results));
        mp_bytes_t rest = mpx_buf_bytes(&results);
        OK(mpx_parcel_next_number(&rest, ids[i]));
    }
    mpx_buf_free(&results);
    mpx_space_go(self->space, self->now, tenant, true);
    for (size_t i = 0; i < CLIENTS; i++)
        self->clients[i] = (client_t){.life = ++self->lives, .next = 1};
}

/* Answers that came. */
static uint64_t live_through(uint64_t seed, bool trace)
{
    world_t *self = calloc(1, sizeof *self);
    self->random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    self->trace = trace;
    self->durable = seed % 2;
    self->now = MPX_S;
    self->store.fail_after = -1;
    prepare(self);
    for (int i = 0; i < STEPS; i++)
        step(self);
    TRACE(self, "calm");
    self->calm = true;
    for (int i = 0; i < 4000 && !is_idle(self); i++)
        step(self);
    ck_assert_msg(is_idle(self), "a call doesn't end");
    for (size_t i = 0; i < CLIENTS; i++) { /* each with what it has */
        link_t *link = &self->links[self->clients[i].link];
        if (self->clients[i].link && link->tenant)
            mpx_space_go(self->space, self->now, link->tenant, true);
        link->tenant = NULL;
    }
    self->now += 2 * LEASE_MS * MPX_MS;
    mpx_space_tick(self->space, self->now);
    check_history(self);
    uint64_t results = self->results;
    mpx_space_destroy(&self->space);
    shelves_free(&self->store);
    for (size_t i = 0; i < self->messages_count; i++)
        free((void *)(uintptr_t)self->messages[i].bytes.data);
    free(self);
    return results;
}

#ifdef MP_SANITIZED
enum { BLOCKS = 10, SEEDS_PER_BLOCK = 1 };
#else
enum { BLOCKS = 10, SEEDS_PER_BLOCK = 12 };
#endif

START_TEST(nothing_is_lost_whatever_happens)
{
    uint64_t results = 0;
    for (unsigned i = 0; i < SEEDS_PER_BLOCK; i++)
        results += live_through((unsigned)_i * SEEDS_PER_BLOCK + i, false);
    ck_assert_uint_gt(results, SEEDS_PER_BLOCK * 300); /* something happens at all */
}
END_TEST

static uint64_t given_seed, given_count;

START_TEST(given_ones)
{
    for (uint64_t i = 0; i < given_count; i++) {
        if (given_count > 1)
            fprintf(stderr, "\r%llu ", (unsigned long long)(given_seed + i));
        (void)live_through(given_seed + i, given_count == 1);
    }
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("objects sim");
    TCase *cases = tcase_create("seeds");
    if (argc > 1) {
        given_seed = strtoull(argv[1], NULL, 10);
        given_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
        tcase_set_timeout(cases, 100000);
        tcase_add_test(cases, given_ones);
    } else {
        tcase_set_timeout(cases, 60);
        tcase_add_loop_test(cases, nothing_is_lost_whatever_happens, 0, BLOCKS);
    }
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
