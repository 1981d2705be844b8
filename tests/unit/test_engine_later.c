/* Calls that wait for their time: what a broker is told of them, and how much of it. */
#include "ok.h"
#include "relay.h"
#include "suite.h"

#include "clock.h"

#include <string.h>

enum { BROKER = 1, JOBS_TOLD = 1024, JOBS = JOBS_TOLD + 3 };

static mpx_engine_t *engine;
static size_t opens, laters, others;
static mpx_header_t last; /* of the LATERs */

static mp_rc_t send_worker(void *self, uint64_t worker, const mpx_header_t *header,
                           mp_bytes_t payload)
{
    (void)self, (void)payload;
    ck_assert_uint_eq(worker, BROKER);
    opens += header->op == MPX_OP_OPEN;
    laters += header->op == MPX_OP_LATER;
    others += header->op != MPX_OP_OPEN && header->op != MPX_OP_LATER;
    if (header->op == MPX_OP_LATER)
        last = *header;
    return MP_OK;
}

static void stop_worker(void *self, uint64_t worker, uint64_t job, uint64_t chunk,
                        mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)self, (void)worker, (void)job, (void)chunk, (void)stage, (void)why;
}

static mp_rc_t no_inputs(void *self, uint64_t tag, uint64_t first, uint32_t count,
                         mpx_inputs_t *out)
{
    (void)self, (void)tag, (void)first, (void)count, (void)out;
    return MP_OK;
}

static void no_outcome(void *self, uint64_t tag, uint64_t index, const mpx_record_t *record,
                       int64_t busy_ns)
{
    (void)self, (void)tag, (void)index, (void)record, (void)busy_ns;
}

static void set_up(void)
{
    mpx_transport_t transport = {.send = send_worker, .stop = stop_worker};
    mpx_worker_spec_t spec = {.slots = 1, .horizon_ns = MPX_MS, .credit_bytes = 1 << 20};
    opens = laters = others = 0;
    OK(mpx_engine_new(&transport, "here", &engine));
    OK(mpx_engine_worker_join(engine, 0, BROKER, NULL, &spec));
}

/* A job with so many calls that begin then. */
static uint64_t waiting_job(uint32_t calls, int64_t begin)
{
    static const mpx_job_hooks_t hooks = {.inputs = no_inputs, .outcome = no_outcome};
    mpx_job_spec_t spec = {.open = {.task = "t", .signature = "s"}};
    mpx_times_t times = {.begin = begin, .deadline = MPX_NEVER};
    uint64_t job;
    OK(mpx_engine_job_open(engine, 0, &spec, &hooks, NULL, &job));
    OK(mpx_engine_put_timed(engine, 0, job, 0, calls, 4 * (uint64_t)calls, 0, times));
    return job;
}

/* It is told so much. */
static void tells(int64_t now, bool anew, size_t count)
{
    laters = 0;
    OK(mpx_engine_tell_later(engine, now, BROKER, anew));
    ck_assert_uint_eq(laters, count);
    ck_assert_uint_eq(others, 0);
}

START_TEST(what_was_told_is_told_again_only_to_who_may_have_missed_it)
{
    set_up();
    uint64_t job = waiting_job(3, 50 * MPX_MS);
    tells(10 * MPX_MS, false, 1);
    ck_assert_uint_eq(opens, 1);
    ck_assert_uint_eq(last.job, job);
    ck_assert_uint_eq(last.bytes, 3);
    ck_assert_uint_eq(last.deadline_ms, 40);
    tells(20 * MPX_MS, false, 0);
    tells(20 * MPX_MS, true, 1); /* the connection was lost */
    ck_assert_uint_eq(opens, 1); /* which it is told by what is kept */
    ck_assert_uint_eq(last.bytes, 3);
    ck_assert_uint_eq(last.deadline_ms, 30);
    tells(20 * MPX_MS, false, 0);
    mpx_engine_destroy(&engine);
}
END_TEST

START_TEST(no_more_jobs_are_opened_for_it_than_so_many)
{
    set_up();
    for (int i = 0; i < JOBS; i++)
        waiting_job(1, 50 * MPX_MS);
    tells(0, false, JOBS_TOLD);
    ck_assert_uint_eq(opens, JOBS_TOLD);
    tells(0, false, 0);
    tells(0, true, JOBS_TOLD);
    ck_assert_uint_eq(opens, JOBS_TOLD);
    mpx_engine_destroy(&engine);
}
END_TEST

START_TEST(a_time_that_is_too_far_is_told_as_the_farthest)
{
    set_up();
    waiting_job(1, (UINT32_MAX + INT64_C(10)) * MPX_MS);
    tells(0, false, 1);
    ck_assert_uint_eq(last.deadline_ms, UINT32_MAX);
    mpx_engine_destroy(&engine);
}
END_TEST

static mp_rc_t send_client(void *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)self, (void)header, (void)payload;
    return MP_OK;
}

START_TEST(what_is_told_is_checked)
{
    mpx_relay_options_t options = {.send = send_client};
    mpx_header_t later = {.op = MPX_OP_LATER, .job = 1, .bytes = UINT64_C(1) << 32};
    mpx_relay_t *relay;
    set_up();
    OK(mpx_relay_new(engine, &options, &relay));
    ck_assert_int_eq(mpx_relay_message(relay, 0, &later, (mp_bytes_t){0}), MP_EPROTO);
    later.bytes = UINT32_MAX;
    OK(mpx_relay_message(relay, 0, &later, (mp_bytes_t){0})); /* no such job: it was refused */
    mpx_relay_destroy(&relay, 0);
    mpx_engine_destroy(&engine);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {what_was_told_is_told_again_only_to_who_may_have_missed_it,
                                  no_more_jobs_are_opened_for_it_than_so_many,
                                  a_time_that_is_too_far_is_told_as_the_farthest,
                                  what_is_told_is_checked, NULL};
    return suite_run("engine_later", tests, 20);
}
