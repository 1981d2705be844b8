/* An engine and a relay between a peer and workers that are written down here: late results, chunks
 * that go back, deadlines that travel. */
#include "relay.h"
#include "suite.h"

#include "clock.h"

#include <string.h>

enum { SENT_MAX = 64 };

typedef struct sent {
    uint64_t worker; /* 0: the peer */
    mpx_header_t header;
} sent_t;

static sent_t sent[SENT_MAX];
static size_t sent_count, sent_read;
static bool gives_back; /* what transport.recall answers */

static mp_rc_t note(uint64_t worker, const mpx_header_t *header)
{
    ck_assert_uint_lt(sent_count, SENT_MAX);
    sent[sent_count++] = (sent_t){worker, *header};
    return MP_OK;
}

static mp_rc_t to_worker(void *self, uint64_t worker, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    (void)self, (void)payload;
    return note(worker, header);
}

static mp_rc_t to_peer(void *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)self, (void)payload;
    return note(0, header);
}

static void stop(void *self, uint64_t worker, uint64_t job, uint64_t chunk, mpx_stop_stage_t stage,
                 mp_rc_t why)
{
    (void)self, (void)why;
    if (stage == MPX_STOP_ASK)
        (void)note(worker, &(mpx_header_t){.op = MPX_OP_CANCEL, .job = job, .chunk = chunk});
}

static bool recall(void *self, uint64_t worker, uint64_t job, uint64_t chunk)
{
    (void)self;
    if (!gives_back)
        (void)note(worker, &(mpx_header_t){.op = MPX_OP_RECALL, .job = job, .chunk = chunk});
    return gives_back;
}

/* The next thing that was sent, but for OPENs. */
static mpx_header_t next_sent(uint64_t to, mpx_op_t op)
{
    while (sent_read < sent_count && sent[sent_read].header.op == MPX_OP_OPEN)
        sent_read++;
    ck_assert_uint_lt(sent_read, sent_count);
    ck_assert_uint_eq(sent[sent_read].worker, to);
    ck_assert_str_eq(mpx_op_name(sent[sent_read].header.op), mpx_op_name(op));
    return sent[sent_read++].header;
}

static void nothing_sent(void)
{
    while (sent_read < sent_count && sent[sent_read].header.op == MPX_OP_OPEN)
        sent_read++;
    ck_assert_uint_eq(sent_read, sent_count);
}

typedef struct world {
    mpx_engine_t *engine;
    mpx_relay_t *relay;
} world_t;

static world_t make(bool match)
{
    world_t world = {0};
    mpx_transport_t transport = {.send = to_worker, .stop = stop, .recall = recall};
    mpx_relay_options_t options = {.send = to_peer, .match = match, .absent_ns = MPX_MS};
    sent_count = sent_read = 0;
    gives_back = false;
    ck_assert_int_eq(mpx_engine_new(&transport, "here", &world.engine), MP_OK);
    ck_assert_int_eq(mpx_relay_new(world.engine, &options, &world.relay), MP_OK);
    return world;
}

static void end(world_t *world)
{
    mpx_relay_destroy(&world->relay, 0);
    mpx_engine_destroy(&world->engine);
}

static void join(world_t *world, uint64_t worker)
{
    static const mpx_offer_t tasks[] = {{"t", "s"}};
    mpx_hello_t hello = {.tasks = tasks, .tasks_count = 1, .have = "gpu=1", .returns = true};
    mpx_worker_spec_t spec = {.slots = 1, .horizon_ns = 2 * MPX_MS, .credit_bytes = 1 << 20};
    ck_assert_int_eq(mpx_engine_worker_join(world->engine, 0, worker, &hello, &spec), MP_OK);
}

static void open_job(world_t *world, uint64_t job, const char *needs)
{
    mpx_buf_t body = {0};
    mpx_open_t open = {.task = "t", .signature = "s", .needs = needs};
    mpx_header_t header = {.op = MPX_OP_OPEN, .job = job};
    ck_assert_int_eq(mpx_open_pack(&open, &body), MP_OK);
    ck_assert_int_eq(mpx_relay_message(world->relay, 0, &header, mpx_buf_bytes(&body)), MP_OK);
    mpx_buf_free(&body);
}

static void submit(world_t *world, int64_t now, uint64_t chunk, uint32_t deadline_ms)
{
    mpx_header_t header = {.op = MPX_OP_SUBMIT,
                           .job = 1,
                           .chunk = chunk,
                           .first = chunk,
                           .count = 1,
                           .item_bytes = 4,
                           .deadline_ms = deadline_ms};
    ck_assert_int_eq(mpx_relay_message(world->relay, now, &header, (mp_bytes_t){"abcd", 4}), MP_OK);
}

static mp_rc_t say(world_t *world, int64_t now, uint64_t worker, mpx_header_t header)
{
    bool values = header.op == MPX_OP_RESULT;
    header.item_bytes = values ? 4 : 0;
    return mpx_engine_message(world->engine, now, worker, &header,
                              values ? (mp_bytes_t){"efgh", 4} : (mp_bytes_t){0});
}

static mpx_header_t result_of(const mpx_header_t *submitted)
{
    return (mpx_header_t){.op = MPX_OP_RESULT,
                          .chunk = submitted->chunk,
                          .first = submitted->first,
                          .count = submitted->count,
                          .busy_ns = 1000};
}

START_TEST(a_late_result_of_a_call_that_another_has_is_dropped)
{
    world_t world = make(true);
    mpx_loss_t loss = {.rc = MP_EWORKERLOST, .name = "worker"};
    open_job(&world, 1, "");
    join(&world, 1);
    submit(&world, 0, 5, 0);
    mpx_header_t first = next_sent(1, MPX_OP_SUBMIT);
    ck_assert_int_eq(mpx_engine_worker_lost(world.engine, 1, 1, MPX_CHARGE_RUNNING, &loss), MP_OK);
    join(&world, 2);
    mpx_header_t second = next_sent(2, MPX_OP_SUBMIT);
    ck_assert_uint_ne(first.chunk, second.chunk);
    ck_assert_int_eq(say(&world, 2, 1, result_of(&first)), MP_OK);
    nothing_sent();
    ck_assert_int_eq(say(&world, 2, 1, result_of(&second)), MP_EPROTO); /* it isn't its chunk */
    nothing_sent();
    ck_assert_int_eq(say(&world, 2, 2, result_of(&second)), MP_OK);
    ck_assert_uint_eq(next_sent(0, MPX_OP_RESULT).chunk, 5);
    ck_assert_int_eq(say(&world, 3, 2, result_of(&second)), MP_OK); /* repeated */
    ck_assert_int_eq(say(&world, 3, 1, result_of(&first)), MP_OK);
    nothing_sent();
    end(&world);
}
END_TEST

/* Worker 1 has three chunks and has begun one. */
static void stuff(world_t *world, mpx_header_t given[3])
{
    open_job(world, 1, "");
    join(world, 1);
    submit(world, 0, 1, 0);
    mpx_header_t quick = next_sent(1, MPX_OP_SUBMIT);
    ck_assert_int_eq(say(world, 0, 1, result_of(&quick)), MP_OK);
    (void)next_sent(0, MPX_OP_RESULT);
    for (uint64_t i = 0; i < 3; i++) {
        submit(world, 0, 2 + i, 0);
        given[i] = next_sent(1, MPX_OP_SUBMIT);
    }
    mpx_header_t started = {.op = MPX_OP_STARTED, .chunk = given[0].chunk};
    ck_assert_int_eq(say(world, 0, 1, started), MP_OK);
    nothing_sent();
}

START_TEST(what_a_worker_gives_back_another_one_gets)
{
    mpx_header_t given[3];
    world_t world = make(true);
    stuff(&world, given);
    join(&world, 2);
    int64_t due = mpx_engine_deadline(world.engine);
    ck_assert_int_eq(mpx_engine_tick(world.engine, due), MP_OK);
    ck_assert_uint_eq(next_sent(1, MPX_OP_RECALL).chunk, given[2].chunk);
    mpx_header_t returned = {
        .op = MPX_OP_RETURNED, .chunk = given[2].chunk, .first = given[2].first, .count = 1};
    ck_assert_int_eq(say(&world, due, 2, returned), MP_EPROTO); /* another's */
    ck_assert_int_eq(say(&world, due, 1, returned), MP_OK);
    mpx_header_t again = next_sent(2, MPX_OP_SUBMIT);
    ck_assert_uint_eq(again.first, given[2].first);
    ck_assert_uint_eq(again.attempt, 1);
    ck_assert_int_eq(say(&world, due, 1, returned), MP_OK); /* repeated */
    ck_assert_int_eq(say(&world, due, 1, result_of(&given[2])), MP_OK);
    nothing_sent();
    returned.chunk = given[0].chunk; /* which it has begun */
    ck_assert_int_eq(say(&world, due, 1, returned), MP_EPROTO);
    end(&world);
}
END_TEST

START_TEST(a_transport_may_give_back_at_once)
{
    mpx_header_t given[3];
    world_t world = make(true);
    stuff(&world, given);
    gives_back = true;
    join(&world, 2);
    int64_t due = mpx_engine_deadline(world.engine);
    ck_assert_int_eq(mpx_engine_tick(world.engine, due), MP_OK);
    ck_assert_uint_eq(next_sent(2, MPX_OP_SUBMIT).first, given[2].first);
    nothing_sent();
    ck_assert_int_eq(say(&world, due, 1, result_of(&given[0])), MP_OK);
    (void)next_sent(0, MPX_OP_RESULT);
    nothing_sent();
    end(&world);
}
END_TEST

/* As mp-worker is asked by its broker. */
START_TEST(a_peer_may_have_back_what_has_not_begun)
{
    world_t world = make(true);
    open_job(&world, 1, "");
    join(&world, 1);
    for (uint64_t chunk = 1; chunk <= 2; chunk++)
        submit(&world, 0, chunk, 0);
    mpx_header_t given = next_sent(1, MPX_OP_SUBMIT);
    mpx_header_t header = {.op = MPX_OP_RECALL, .job = 1, .chunk = 2};
    ck_assert_int_eq(mpx_relay_message(world.relay, 0, &header, (mp_bytes_t){0}), MP_OK);
    mpx_header_t answer = next_sent(0, MPX_OP_RETURNED);
    ck_assert(answer.chunk == 2 && answer.first == 2 && answer.count == 1);
    ck_assert_int_eq(mpx_relay_message(world.relay, 0, &header, (mp_bytes_t){0}), MP_OK);
    nothing_sent(); /* it is its peer's again */
    header.chunk = 1;
    mpx_header_t started = {.op = MPX_OP_STARTED, .chunk = given.chunk};
    ck_assert_int_eq(say(&world, 0, 1, started), MP_OK);
    ck_assert_int_eq(mpx_relay_message(world.relay, 0, &header, (mp_bytes_t){0}), MP_OK);
    answer = next_sent(0, MPX_OP_RETURNED);
    ck_assert(answer.chunk == 1 && answer.count == 0);
    ck_assert_int_eq(say(&world, 0, 1, result_of(&given)), MP_OK);
    ck_assert_uint_eq(next_sent(0, MPX_OP_RESULT).chunk, 1);
    ck_assert_uint_eq(mpx_relay_open_calls(world.relay), 0);
    nothing_sent();
    end(&world);
}
END_TEST

START_TEST(what_is_left_of_the_time_travels_on)
{
    world_t world = make(true);
    open_job(&world, 1, "");
    submit(&world, 0, 1, 50);
    submit(&world, 0, 2, 0);
    submit(&world, 0, 3, 10);
    ck_assert_int_eq(mpx_engine_tick(world.engine, 20 * MPX_MS), MP_OK);
    ck_assert_int_eq(mpx_relay_flush(world.relay, 20 * MPX_MS), MP_OK);
    ck_assert_uint_eq(next_sent(0, MPX_OP_RESULT).chunk, 3); /* too late */
    static const mpx_offer_t tasks[] = {{"t", "s"}};
    mpx_hello_t hello = {.tasks = tasks, .tasks_count = 1};
    mpx_worker_spec_t spec = {.slots = 2, .horizon_ns = 2 * MPX_MS, .credit_bytes = 1 << 20};
    ck_assert_int_eq(mpx_engine_worker_join(world.engine, 20 * MPX_MS, 1, &hello, &spec), MP_OK);
    mpx_header_t given = next_sent(1, MPX_OP_SUBMIT);
    ck_assert_uint_eq(given.deadline_ms, 30);
    ck_assert_uint_eq(next_sent(1, MPX_OP_SUBMIT).deadline_ms, 0);
    ck_assert_int_eq(mpx_engine_deadline(world.engine), 50 * MPX_MS);
    ck_assert_int_eq(mpx_engine_tick(world.engine, 50 * MPX_MS), MP_OK);
    ck_assert_uint_eq(next_sent(1, MPX_OP_CANCEL).chunk, given.chunk);
    ck_assert_int_eq(mpx_relay_flush(world.relay, 50 * MPX_MS), MP_OK);
    ck_assert_uint_eq(next_sent(0, MPX_OP_RESULT).chunk, 1);
    end(&world);
}
END_TEST

START_TEST(needs_are_refused_or_missed_with_words)
{
    world_t world = make(true);
    open_job(&world, 1, "gpu=1,,");
    ck_assert_int_eq(next_sent(0, MPX_OP_ERROR).code, MP_EINVAL);
    join(&world, 1);
    open_job(&world, 1, "gpu=2"); /* the number is free: there was no job */
    submit(&world, 0, 1, 0);
    nothing_sent();
    ck_assert_int_eq(mpx_engine_tick(world.engine, mpx_engine_deadline(world.engine)), MP_OK);
    ck_assert_int_eq(mpx_relay_flush(world.relay, MPX_MS), MP_OK);
    ck_assert_uint_eq(next_sent(0, MPX_OP_RESULT).chunk, 1);
    end(&world);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_late_result_of_a_call_that_another_has_is_dropped,
        what_a_worker_gives_back_another_one_gets,
        a_transport_may_give_back_at_once,
        a_peer_may_have_back_what_has_not_begun,
        what_is_left_of_the_time_travels_on,
        needs_are_refused_or_missed_with_words,
        NULL,
    };
    return suite_run("engine", tests, 30);
}
