/* test_output: what calls write, told to their caller. Usage: test_output local|tcp|ipc */
#include "harness.h"
#include "ok.h"
#include "suite.h"

#include <mp/mp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONG_MS = 30000, CALLS = 20, HEARD_MAX = 1 << 22 };

MP_TASK(output_speak, int, int)
{
    printf("call %d ", *in);
    printf("speaks\n");
    fprintf(stderr, "call %d mutters\n", *in);
    *out = *in;
    return MP_OK;
}

/* So many bytes, and then a failure. */
MP_TASK(output_flood, int, int)
{
    (void)out;
    for (int i = 0; i < *in; i++)
        putchar('a' + i % 26);
    return 1;
}

MP_TASK(output_silent, int, int)
{
    *out = -*in;
    return MP_OK;
}

/* What was heard, of all calls and of each. */
typedef struct heard {
    char *of[CALLS + 1][3];
    size_t size[CALLS + 1][3];
    uint64_t lost;
    bool wrong;
    const mp_rc_t *rcs; /* 1: no outcome yet */
} heard_t;

static void hear(void *arg, const mp_output_t *output)
{
    heard_t *self = arg;
    size_t call = output->index;
    self->lost += output->lost_bytes;
    if (call >= CALLS || !*output->host || output->pid <= 0 || output->stream > MP_STDERR ||
        strncmp(output->task, "output_", 7) != 0 || (self->rcs && self->rcs[call] != (mp_rc_t)1)) {
        self->wrong = true;
        return;
    }
    size_t *size = &self->size[call][output->stream];
    char **text = &self->of[call][output->stream];
    *text = realloc(*text, *size + output->bytes.size + 1);
    memcpy(*text + *size, output->bytes.data, output->bytes.size);
    *size += output->bytes.size;
    (*text)[*size] = '\0';
}

static void forget(heard_t *self)
{
    for (size_t i = 0; i <= CALLS; i++)
        for (size_t stream = 0; stream < 3; stream++)
            free(self->of[i][stream]);
    *self = (heard_t){0};
}

static mp_pool_t *make_pool(void)
{
    mp_pool_t *pool = NULL;
    const char *broker = harness_broker(2);
    OK(mp_pool_new(&(mp_pool_options_t){.processes = 2, .broker = broker ? broker : "local"},
                   &pool));
    return pool;
}

START_TEST(each_call_is_heard_before_its_outcome)
{
    int in[CALLS], out[CALLS];
    mp_rc_t rcs[CALLS];
    heard_t heard = {.rcs = rcs};
    mp_pool_t *pool = make_pool();
    for (int i = 0; i < CALLS; i++) {
        in[i] = i;
        rcs[i] = (mp_rc_t)1;
    }
    OK(mp_pool_map_with(pool, &output_speak, in, CALLS, out, rcs,
                        &(mp_call_options_t){.output = hear, .output_arg = &heard}, LONG_MS));
    ck_assert(!heard.wrong);
    for (int i = 0; i < CALLS; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "call %d speaks\n", i);
        ck_assert_str_eq(heard.of[i][MP_STDOUT], wanted);
        snprintf(wanted, sizeof wanted, "call %d mutters\n", i);
        ck_assert_str_eq(heard.of[i][MP_STDERR], wanted);
        ck_assert_int_eq(out[i], i);
    }
    ck_assert_uint_eq(heard.lost, 0);
    forget(&heard);
    mp_pool_destroy(&pool);
    harness_end();
}
END_TEST

START_TEST(a_flood_is_cut_to_the_byte_and_the_rest_is_counted)
{
    int in = 300000, out;
    heard_t heard = {0};
    mp_pool_t *pool = make_pool();
    mp_call_options_t options = {.output = hear, .output_arg = &heard, .output_bytes = 10000};
    ck_assert_int_eq(mp_pool_map_with(pool, &output_flood, &in, 1, &out, NULL, &options, LONG_MS),
                     MP_EFAILED);
    ck_assert_uint_eq(heard.size[0][MP_STDOUT], 10000);
    ck_assert_uint_eq(heard.lost, 290000);
    for (int i = 0; i < 10000; i++)
        ck_assert(heard.of[0][MP_STDOUT][i] == 'a' + i % 26);
    forget(&heard);
    /* and what fits is whole, however large its pieces are on the way */
    options.output_bytes = 400000;
    ck_assert_int_eq(mp_pool_map_with(pool, &output_flood, &in, 1, &out, NULL, &options, LONG_MS),
                     MP_EFAILED);
    ck_assert_uint_eq(heard.size[0][MP_STDOUT], 300000);
    ck_assert_uint_eq(heard.lost, 0);
    forget(&heard);
    mp_pool_destroy(&pool);
    harness_end();
}
END_TEST

START_TEST(only_who_asks_is_told)
{
    int in[CALLS] = {0}, out[CALLS];
    heard_t heard = {0};
    mp_pool_t *pool = make_pool();
    mp_call_options_t options = {.output = hear, .output_arg = &heard};
    OK(mp_pool_map(pool, &output_silent, in, CALLS, out, LONG_MS));
    OK(mp_pool_map_with(pool, &output_silent, in, CALLS, out, NULL, &options, LONG_MS));
    OK(mp_pool_map(pool, &output_speak, in, 1, out, LONG_MS));
    for (size_t i = 0; i < CALLS; i++)
        ck_assert(!heard.of[i][MP_STDOUT] && !heard.of[i][MP_STDERR]);
    forget(&heard);
    mp_pool_destroy(&pool);
    harness_end();
}
END_TEST

START_TEST(a_single_call_is_heard)
{
    int in = 7, out = 0;
    heard_t heard = {0};
    mp_result_t *result = NULL;
    mp_pool_t *pool = make_pool();
    mp_async_options_t options = {.calls = {.output = hear, .output_arg = &heard}};
    OK(mp_pool_apply_async(pool, &output_speak, &in, &options, &result));
    OK(mp_result_get(result, &out, LONG_MS));
    ck_assert_int_eq(out, 7);
    ck_assert_str_eq(heard.of[0][MP_STDOUT], "call 7 speaks\n");
    mp_result_destroy(&result);
    forget(&heard);
    mp_pool_destroy(&pool);
    harness_end();
}
END_TEST

/* By who makes it, and by who comes back. */
START_TEST(a_kept_job_is_heard_by_who_has_it_open)
{
    mp_pool_t *pool = make_pool();
    mp_job_t *job = NULL;
    heard_t heard = {0}, late = {0};
    mp_outcome_t outcome;
    mp_call_options_t options = {.name = "heard", .output = hear, .output_arg = &heard};
    if (strcmp(harness_where, "local") == 0) {
        ck_assert_int_eq(mp_job_new(pool, &output_speak, &options, &job), MP_EINVAL);
        mp_pool_destroy(&pool);
        return;
    }
    OK(mp_job_new(pool, &output_speak, &options, &job));
    for (int i = 0; i < CALLS / 2; i++)
        OK(mp_job_put(job, (mp_bytes_t){&i, sizeof i}, LONG_MS));
    for (int i = 0; i < CALLS / 2; i++)
        OK(mp_job_next(job, &outcome, LONG_MS));
    for (int i = 0; i < CALLS / 2; i++) {
        char text[64];
        snprintf(text, sizeof text, "call %d speaks\n", i);
        ck_assert_str_eq(heard.of[i][MP_STDOUT], text);
    }
    mp_call_options_t listener = {.output = hear, .output_arg = &late, .label = "back"};
    mp_job_t *again = NULL;
    OK(mp_job_attach_with(pool, "heard", &listener, LONG_MS, &again));
    int last = CALLS / 2;
    OK(mp_job_put(job, (mp_bytes_t){&last, sizeof last}, LONG_MS));
    mp_job_close(job);
    OK(mp_job_wait(again, NULL, LONG_MS));
    ck_assert_str_eq(late.of[last][MP_STDOUT], "call 10 speaks\n");
    ck_assert_str_eq(heard.of[last][MP_STDOUT], "call 10 speaks\n");
    ck_assert_ptr_null(late.of[0][MP_STDOUT]);
    ck_assert(!heard.wrong && !late.wrong && heard.lost + late.lost == 0);
    OK(mp_job_drop(&again, LONG_MS));
    mp_job_destroy(&job);
    forget(&heard);
    forget(&late);
    mp_pool_destroy(&pool);
}
END_TEST

START_TEST(threads_write_where_the_program_does)
{
    int in = 1, out;
    heard_t heard = {0};
    mp_pool_t *pool = NULL;
    OK(mp_pool_new(&(mp_pool_options_t){.workers = MP_THREADS, .processes = 1}, &pool));
    mp_call_options_t options = {.output = hear, .output_arg = &heard};
    ck_assert_int_eq(mp_pool_map_with(pool, &output_silent, &in, 1, &out, NULL, &options, LONG_MS),
                     MP_EINVAL);
    options.output_bytes = -1;
    ck_assert_int_eq(mp_pool_map_with(pool, &output_silent, &in, 1, &out, NULL, &options, LONG_MS),
                     MP_EINVAL);
    mp_pool_destroy(&pool);
    harness_end();
}
END_TEST

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    const TTest *const tests[] = {
        each_call_is_heard_before_its_outcome,
        a_flood_is_cut_to_the_byte_and_the_rest_is_counted,
        only_who_asks_is_told,
        a_single_call_is_heard,
        a_kept_job_is_heard_by_who_has_it_open,
        threads_write_where_the_program_does,
        NULL,
    };
    harness_where = argc > 1 ? argv[1] : "local";
    return suite_run("output", tests, 60);
}
