/* The engine and a relay on it, as the broker has them: messages go in, others come out. */
#include "ok.h"
#include "relay.h"
#include "suite.h"

#include "clock.h"

#include <string.h>

enum { SENT_MAX = 64 };

typedef struct sent {
    mpx_header_t header;
    mp_rc_t record_rc; /* of a RESULT's first record */
} sent_t;

/* What one side was sent. */
typedef struct inbox {
    sent_t sent[SENT_MAX];
    size_t count;
} inbox_t;

static inbox_t to_worker, to_client;
static mpx_engine_t *engine;
static mpx_relay_t *relay;

static mp_rc_t put_in(inbox_t *inbox, const mpx_header_t *header, mp_bytes_t payload)
{
    mpx_record_t record = {.rc = MP_OK};
    ck_assert_uint_lt(inbox->count, SENT_MAX);
    if (header->op == MPX_OP_RESULT && !header->item_bytes && payload.size)
        OK(mpx_record_next(&payload, &record));
    inbox->sent[inbox->count++] = (sent_t){*header, record.rc};
    return MP_OK;
}

static mp_rc_t send_worker(void *self, uint64_t worker, const mpx_header_t *header,
                           mp_bytes_t payload)
{
    (void)self, (void)worker;
    return put_in(&to_worker, header, payload);
}

static void stop_worker(void *self, uint64_t worker, uint64_t job, uint64_t chunk,
                        mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)self, (void)worker, (void)job, (void)chunk, (void)stage, (void)why;
}

static mp_rc_t send_client(void *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)self;
    return put_in(&to_client, header, payload);
}

/* Messages of an op, and the last one of them. */
static size_t count_of(const inbox_t *inbox, mpx_op_t op, sent_t *last)
{
    size_t count = 0;
    for (size_t i = 0; i < inbox->count; i++)
        if (inbox->sent[i].header.op == op) {
            count++;
            if (last)
                *last = inbox->sent[i];
        }
    return count;
}

static void set_up(void)
{
    mpx_transport_t transport = {.send = send_worker, .stop = stop_worker};
    mpx_relay_options_t options = {.send = send_client, .match = true, .wait_ns = 10 * MPX_S};
    to_worker.count = to_client.count = 0;
    OK(mpx_engine_new(&transport, "here", &engine));
    OK(mpx_relay_new(engine, &options, &relay));
}

static void tear_down(void)
{
    ck_assert_ptr_null(mpx_engine_check(engine));
    mpx_relay_destroy(&relay, 0);
    mpx_engine_destroy(&engine);
}

static void join(uint64_t worker)
{
    mpx_offer_t offer = {"t", "int -> int"};
    mpx_hello_t hello = {.role = MPX_ROLE_WORKER, .tasks = &offer, .tasks_count = 1};
    mpx_worker_spec_t spec = {.slots = 4, .horizon_ns = 5 * MPX_MS, .credit_bytes = 1 << 20};
    OK(mpx_engine_worker_join(engine, 0, worker, &hello, &spec));
}

static void open_job(uint64_t job)
{
    mpx_open_t open = {.task = "t", .signature = "int -> int", .label = ""};
    mpx_header_t header = {.op = MPX_OP_OPEN, .job = job};
    mpx_buf_t body = {0};
    OK(mpx_open_pack(&open, &body));
    OK(mpx_relay_message(relay, 0, &header, mpx_buf_bytes(&body)));
    mpx_buf_free(&body);
}

static void submit(uint64_t chunk, uint64_t first, uint32_t count, uint32_t attempt)
{
    static const char items[64];
    mpx_header_t header = {.op = MPX_OP_SUBMIT,
                           .job = 1,
                           .chunk = chunk,
                           .first = first,
                           .count = count,
                           .attempt = attempt,
                           .item_bytes = 4};
    OK(mpx_relay_message(relay, 0, &header, (mp_bytes_t){items, 4 * (size_t)count}));
}

static void result(uint64_t worker, uint64_t chunk, uint64_t first, mp_rc_t rc)
{
    mpx_header_t header = {
        .op = MPX_OP_RESULT, .chunk = chunk, .first = first, .count = 1, .code = rc};
    OK(mpx_engine_message(engine, 0, worker, &header, (mp_bytes_t){0}));
}

static void client_cancels(uint64_t chunk)
{
    mpx_header_t header = {.op = MPX_OP_CANCEL, .job = 1, .chunk = chunk};
    OK(mpx_relay_message(relay, 0, &header, (mp_bytes_t){0}));
}

/* Call 0 has failed, and its client tries it again in a chunk of its own. */
START_TEST(the_cancel_of_a_chunk_spares_calls_that_are_tried_again)
{
    set_up();
    join(9);
    open_job(1);
    submit(1, 0, 2, 1);
    sent_t run;
    ck_assert_uint_eq(count_of(&to_worker, MPX_OP_SUBMIT, &run), 1);
    result(9, run.header.chunk, 0, MP_EFAILED);
    submit(2, 0, 1, 2);
    client_cancels(1);
    OK(mpx_relay_flush(relay, 0));
    ck_assert_uint_eq(mpx_relay_open_calls(relay), 1);
    client_cancels(2);
    OK(mpx_relay_flush(relay, 0));
    ck_assert_uint_eq(mpx_relay_open_calls(relay), 0);
    tear_down();
}
END_TEST

/* Who put calls into a job after it was refused got MP_ECANCELLED, which nobody had asked for. */
START_TEST(a_job_that_was_refused_is_opened_again_for_further_calls)
{
    set_up();
    join(9);
    open_job(1);
    submit(1, 0, 1, 1);
    mpx_header_t error = {.op = MPX_OP_ERROR, .job = 1, .code = MP_ELIMIT};
    mpx_problem_t problem = {.message = "too many"};
    mpx_buf_t body = {0};
    OK(mpx_problem_pack(&problem, &body));
    OK(mpx_engine_message(engine, 0, 9, &error, mpx_buf_bytes(&body)));
    mpx_buf_free(&body);
    submit(2, 1, 1, 1);
    sent_t run;
    ck_assert_uint_eq(count_of(&to_worker, MPX_OP_OPEN, NULL), 2);
    ck_assert_uint_eq(count_of(&to_worker, MPX_OP_SUBMIT, &run), 2);
    ck_assert_uint_eq(run.header.first, 1);
    tear_down();
}
END_TEST

/* Its task is the very one; there is just nobody left who takes further calls. */
START_TEST(behind_a_worker_that_drains_there_is_no_worker)
{
    set_up();
    join(9);
    OK(mpx_engine_worker_drain(engine, 0, 9));
    open_job(1);
    submit(1, 0, 1, 1);
    OK(mpx_engine_tick(engine, 11 * MPX_S));
    OK(mpx_relay_flush(relay, 11 * MPX_S));
    sent_t outcome;
    ck_assert_uint_eq(count_of(&to_client, MPX_OP_RESULT, &outcome), 1);
    ck_assert_int_eq(outcome.record_rc, MP_ENOWORKER);
    tear_down();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_cancel_of_a_chunk_spares_calls_that_are_tried_again,
        a_job_that_was_refused_is_opened_again_for_further_calls,
        behind_a_worker_that_drains_there_is_no_worker,
        NULL,
    };
    return suite_run("engine_relay", tests, 30);
}
