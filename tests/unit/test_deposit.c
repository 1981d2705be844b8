/* A client's side of a kept job, with a broker that is this test, and that is too slow. */
#include "deposit.h"
#include "suite.h"

#include <stdlib.h>
#include <string.h>

enum { SENT_MAX = 8 };

static mpx_header_t sent[SENT_MAX];
static size_t sent_count;
static uint64_t token; /* of the last JOB_KEEP */
static mp_pool_t client;

mp_rc_t __wrap_mpx_pool_wait(mp_pool_t *pool, bool (*ready)(const void *), const void *arg,
                             int64_t deadline);

/* Nothing comes in time. */
mp_rc_t __wrap_mpx_pool_wait(mp_pool_t *pool, bool (*ready)(const void *), const void *arg,
                             int64_t deadline)
{
    (void)pool;
    (void)deadline;
    return ready(arg) ? MP_OK : MP_ETIMEDOUT;
}

static void errand_begin(mpx_backend_t *self, mpx_errand_t *errand)
{
    (void)self;
    errand->nonce = 5;
    errand->on_link(errand, MP_OK);
}

static void errand_end(mpx_backend_t *self, mpx_errand_t *errand)
{
    (void)self;
    errand->nonce = 0;
}

static mp_rc_t errand_send(mpx_backend_t *self, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)self;
    mpx_keep_t keep;
    void *arena;
    if (header->op == MPX_OP_JOB_KEEP) {
        ck_assert_int_eq(mpx_keep_unpack(payload, &keep, &arena), MP_OK);
        token = keep.token;
        free(arena);
    }
    ck_assert_uint_lt(sent_count, SENT_MAX);
    ck_assert_uint_eq(header->nonce, 5);
    sent[sent_count++] = *header;
    return MP_OK;
}

static mp_rc_t open_one(const mp_call_options_t *options, const char *id)
{
    static const mpx_backend_ops_t ops = {
        .errand_begin = errand_begin, .errand_end = errand_end, .errand_send = errand_send};
    static mpx_backend_t backend = {.ops = &ops};
    client.backend = &backend;
    mpx_job_spec_t spec = {.open = {.task = "t", .signature = "bytes -> bytes"}};
    mpx_listen_t listen = {0};
    mpx_deposit_t *deposit = NULL;
    sent_count = 0;
    return mpx_deposit_new(&client, options ? &spec : NULL, options, id, &listen, 0, &deposit);
}

/* Whatever the broker makes of the first message, the second one takes it back. */
static void is_taken_back(mpx_op_t op, uint32_t kind)
{
    ck_assert_uint_eq(sent_count, 2);
    ck_assert_int_eq(sent[0].op, MPX_OP_JOB_KEEP);
    ck_assert_int_eq(sent[1].op, op);
    ck_assert_uint_eq(sent[1].kind, kind);
}

START_TEST(test_a_job_that_is_not_had_in_time_is_not_left_behind)
{
    mp_call_options_t named = {.name = "night"}, timed = {.keep_ms = 1000};
    ck_assert_int_eq(open_one(&named, named.name), MP_ETIMEDOUT);
    is_taken_back(MPX_OP_JOB_CANCEL, MPX_JOB_FORGET);
    ck_assert_int_eq(open_one(&timed, NULL), MP_ETIMEDOUT);
    is_taken_back(MPX_OP_JOB_CANCEL, MPX_JOB_FORGET);
    mpx_buf_free(&client.unsure);
}
END_TEST

START_TEST(test_what_may_be_others_is_only_left)
{
    mp_call_options_t keyed = {.key = "k"};
    ck_assert_int_eq(open_one(&keyed, NULL), MP_ETIMEDOUT);
    is_taken_back(MPX_OP_JOB_FREE, MPX_JOB_LEAVE);
    ck_assert_int_eq(open_one(NULL, "night"), MP_ETIMEDOUT);
    is_taken_back(MPX_OP_JOB_FREE, MPX_JOB_LEAVE);
}
END_TEST

START_TEST(test_who_was_not_answered_asks_for_the_same_job_again)
{
    mp_call_options_t named = {.name = "night"}, other = {.name = "night", .keep_ms = 5};
    ck_assert_int_eq(open_one(&named, named.name), MP_ETIMEDOUT);
    uint64_t first = token;
    ck_assert_int_eq(open_one(&named, named.name), MP_ETIMEDOUT);
    ck_assert_uint_eq(token, first);
    ck_assert_int_eq(open_one(&other, other.name), MP_ETIMEDOUT);
    ck_assert_uint_ne(token, first);
    mpx_buf_free(&client.unsure);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_a_job_that_is_not_had_in_time_is_not_left_behind,
                                  test_what_may_be_others_is_only_left,
                                  test_who_was_not_answered_asks_for_the_same_job_again, NULL};
    return suite_run("deposit", tests, 20);
}
