/* Kept jobs and dead letters: what their clients ask. */
#include "archive_kit.h"

START_TEST(test_outcomes_until_they_are_had)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    only(MPX_OP_JOB_INFO);
    OK(put(&one, 1, 0, "abc", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    OK(take(&one, 1, 0));
    ck_assert_uint_eq(sent_count, 0);
    work_off(0, MP_OK);
    ck_assert_uint_eq(sent_count, 0); /* not before the commit */
    turn(0);
    gives(only(MPX_OP_JOB_GIVE), 0, "abc");
    /* Its client dies with one acknowledged; another one comes. */
    OK(ask(&one, 0, (mpx_header_t){.op = MPX_OP_JOB_FREE, .nonce = 1, .first = 1}, NULL, 0));
    answered(MPX_OP_JOB_FREE, MP_OK);
    mpx_archive_gone(archive, &one);
    mpx_keep_t again = keep_of("j", "", 8);
    again.attach = true;
    OK(keep(&two, 5, again, "t"));
    only(MPX_OP_JOB_INFO);
    OK(take(&two, 5, 1));
    gives(only(MPX_OP_JOB_GIVE), 1, "bc");
    OK(take(&two, 5, 3));
    ck_assert_int_eq(only(MPX_OP_JOB_GIVE)->header.code, MP_EOF);
    mpx_archive_gone(archive, &two);
    turn(0);
    OK(keep(&one, 1, again, "t"));
    answered(MPX_OP_JOB_KEEP, MP_ENOTFOUND);
    end();
}
END_TEST

START_TEST(test_inputs_that_come_again)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "k", 7), "t"));
    only(MPX_OP_JOB_INFO);
    OK(put(&one, 1, 0, "ab", false));
    answered(MPX_OP_JOB_PUT, MP_OK);
    OK(keep(&two, 1, keep_of("other", "k", 8), "t"));
    only(MPX_OP_JOB_INFO);
    OK(put(&two, 1, 0, "abc", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    OK(put(&one, 1, 2, "c", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    size_t calls = 0;
    for (size_t i = 0; i < work_count; i++)
        calls += work[i].header.count;
    ck_assert_uint_eq(calls, 3);
    OK(put(&one, 1, 1, "x", false));
    answered(MPX_OP_JOB_PUT, MP_EEXIST);
    OK(put(&one, 1, 3, "d", false));
    answered(MPX_OP_JOB_PUT, MP_EEXIST);
    OK(put(&one, 1, 0, "ab", true));
    answered(MPX_OP_JOB_PUT, MP_EEXIST);
    work_off(0, MP_OK);
    OK(take(&one, 1, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "abc");
    OK(take(&one, 1, 3));
    ck_assert_int_eq(only(MPX_OP_JOB_GIVE)->header.code, MP_EOF);
    OK(take(&two, 1, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "abc");
    mpx_archive_gone(archive, &one);
    OK(keep(&one, 1, keep_of("new", "k", 9), "u"));
    answered(MPX_OP_JOB_KEEP, MP_EEXIST);
    end();
}
END_TEST

START_TEST(test_one_takes_at_a_time)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    OK(put(&one, 1, 0, "a", true));
    mpx_keep_t again = keep_of("j", "", 8);
    again.attach = true;
    OK(keep(&two, 1, again, "t"));
    sent_count = 0;
    OK(take(&one, 1, 0));
    OK(take(&two, 1, 0));
    const sent_t *told = only(MPX_OP_JOB_GIVE);
    ck_assert_uint_eq(told->peer, one.id);
    ck_assert_int_eq(told->header.code, MP_ESTATE);
    OK(put(&two, 1, 0, "a", false));
    answered(MPX_OP_JOB_PUT, MP_EPERM);
    has_credit = false;
    work_off(0, MP_OK);
    turn(0);
    ck_assert_uint_eq(sent_count, 0);
    has_credit = true;
    turn(0);
    gives(only(MPX_OP_JOB_GIVE), 0, "a");
    end();
}
END_TEST

START_TEST(test_a_lost_maker_is_waited_for)
{
    mpx_keep_t reader = keep_of("j", "", 8);
    reader.attach = true;
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    OK(put(&one, 1, 0, "a", false));
    OK(keep(&two, 1, reader, "t"));
    work_off(0, MP_OK);
    sent_count = 0;
    OK(take(&two, 1, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "a");
    OK(take(&two, 1, 1));
    mpx_archive_gone(archive, &one);
    turn(0);
    turn(RETURN_MS * MS - 1);
    ck_assert_uint_eq(sent_count, 0);
    OK(keep(&one, 2, keep_of("j", "", 7), "t"));
    turn(RETURN_MS * MS);
    only(MPX_OP_JOB_INFO);
    OK(put(&one, 2, 1, "b", false));
    answered(MPX_OP_JOB_PUT, MP_OK);
    work_off(0, MP_OK);
    turn(0);
    gives(only(MPX_OP_JOB_GIVE), 1, "b");
    OK(take(&two, 1, 2));
    mpx_archive_gone(archive, &one);
    turn(0);
    ck_assert_uint_eq(sent_count, 0);
    turn(RETURN_MS * MS);
    ck_assert_int_eq(only(MPX_OP_JOB_GIVE)->header.code, MP_EOF);
    end();
}
END_TEST

START_TEST(test_a_maker_that_leaves_is_not_waited_for)
{
    mpx_keep_t reader = keep_of("j", "", 8);
    reader.attach = true;
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    OK(keep(&two, 1, reader, "t"));
    sent_count = 0;
    OK(take(&two, 1, 0));
    one.said_bye = true;
    mpx_archive_gone(archive, &one);
    one.said_bye = false;
    turn(0);
    ck_assert_int_eq(only(MPX_OP_JOB_GIVE)->header.code, MP_EOF);
    end();
}
END_TEST

/* Whoever else reads it. */
static void is_unfinished(const char *id)
{
    mpx_kept_info_t info = look(&two, 0, id);
    ck_assert_uint_eq(info.ended, info.calls);
    ck_assert(!info.open);
    ck_assert(!info.complete);
}

START_TEST(test_what_was_never_closed_is_told_from_what_was)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("part", "", 7), "t"));
    OK(put(&one, 1, 0, "a", false));
    OK(keep(&one, 2, keep_of("whole", "", 7), "t"));
    OK(put(&one, 2, 0, "a", true));
    work_off(0, MP_OK);
    ck_assert(look(&two, 0, "part").open);
    ck_assert(!look(&two, 0, "part").complete);
    ck_assert(!look(&two, 0, "whole").open);
    ck_assert(look(&two, 0, "whole").complete);
    one.said_bye = true;
    mpx_archive_gone(archive, &one);
    one.said_bye = false;
    turn(0);
    is_unfinished("part");
    ck_assert(look(&two, 0, "whole").complete);
    mpx_keep_t reader = keep_of("part", "", 8);
    mpx_header_t cancel = {.op = MPX_OP_JOB_CANCEL, .nonce = 3};
    reader.attach = true;
    OK(keep(&two, 3, reader, "t"));
    OK(ask(&two, 0, cancel, NULL, 0));
    is_unfinished("part");
    ck_assert(look(&two, 0, "part").closed);
    end();
}
END_TEST

START_TEST(test_a_job_that_never_got_a_call_is_in_nobodys_way)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("none", "", 7), "t"));
    OK(keep(&one, 2, keep_of("some", "", 7), "t"));
    OK(put(&one, 2, 0, "a", false));
    sent_count = 0;
    OK(keep(&two, 1, keep_of("none", "", 8), "t")); /* its maker is there */
    answered(MPX_OP_JOB_KEEP, MP_EEXIST);
    mpx_archive_gone(archive, &one);
    turn(0);
    OK(keep(&two, 1, keep_of("none", "", 8), "t")); /* it is waited for */
    answered(MPX_OP_JOB_KEEP, MP_EEXIST);
    turn(RETURN_MS * MS);
    mpx_keep_t reader = keep_of("none", "", 8);
    reader.attach = true;
    OK(keep(&one, 1, reader, "t"));
    sent_count = 0;
    OK(keep(&two, 1, keep_of("none", "", 8), "t")); /* somebody looks at it */
    answered(MPX_OP_JOB_KEEP, MP_EEXIST);
    mpx_archive_gone(archive, &one);
    OK(keep(&two, 1, keep_of("none", "", 8), "u"));
    only(MPX_OP_JOB_INFO);
    OK(put(&two, 1, 0, "a", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    OK(keep(&two, 2, keep_of("some", "", 8), "t"));
    answered(MPX_OP_JOB_KEEP, MP_EEXIST);
    end();
}
END_TEST

START_TEST(test_delays_and_deadlines)
{
    begin(1 << 20, 0);
    mpx_keep_t wanted = keep_of("j", "", 7);
    wanted.delay_ms = 10;
    wanted.deadline_ms = 25;
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "ab", false));
    ck_assert_uint_eq(work_count, 0);
    ck_assert_int_eq(mpx_engine_deadline(engine), 10 * MS);
    OK(mpx_engine_tick(engine, 9 * MS));
    ck_assert_uint_eq(work_count, 0);
    mpx_archive_gone(archive, &one); /* nobody need be there */
    OK(mpx_engine_tick(engine, 10 * MS));
    ck_assert_uint_ge(work_count, 1);
    ck_assert_uint_eq(work[0].header.deadline_ms, 15);
    OK(mpx_engine_tick(engine, 25 * MS));
    wanted = keep_of("j", "", 7);
    OK(keep(&two, 1, wanted, "t"));
    sent_count = 0;
    OK(take(&two, 1, 0));
    const sent_t *given = only(MPX_OP_JOB_GIVE);
    mpx_record_t record;
    mp_bytes_t rest = {given->payload, given->size};
    ck_assert_uint_ge(given->header.count, 1);
    OK(mpx_record_next(&rest, &record));
    ck_assert_int_eq(record.rc, MP_ETIMEDOUT);
    end();
}
END_TEST

typedef struct ends {
    unsigned calls, batches;
} ends_t;

static void note_ended(void *self, const mpx_kept_batch_t *batch, uint64_t index, mp_bytes_t input,
                       const mpx_record_t *record)
{
    (void)batch, (void)index, (void)input;
    ck_assert_int_eq(record->rc, MP_ETIMEDOUT);
    ((ends_t *)self)->calls++;
}

static void note_emptied(void *self, const mpx_kept_batch_t *batch)
{
    (void)batch;
    ((ends_t *)self)->batches++;
}

/* A job that was put at 1000 ms, loaded at a time of day. */
static mpx_kept_job_t *load_at(const mpx_kept_hooks_t *hooks, uint64_t unix_ms)
{
    static mpx_kept_totals_t totals;
    mpx_buf_t open = {0}, body = {0};
    mpx_open_t opened = {.task = "t", .signature = "bytes -> bytes little"};
    mpx_keep_t wanted = keep_of("j", "", 7);
    mpx_kept_job_t *job;
    mpx_header_t header = {.count = 2, .item_bytes = 1};
    OK(mpx_open_pack(&opened, &open));
    wanted.open = mpx_buf_bytes(&open);
    wanted.delay_ms = 10;
    wanted.deadline_ms = 25;
    OK(mpx_keep_pack(&wanted, &body));
    OK(mpx_kept_job_new(engine, hooks, &totals, "", mpx_buf_bytes(&body), 0,
                        (mpx_kept_patience_t){0}, &job));
    OK(mpx_kept_job_load_counts(job, 2, 0));
    OK(mpx_kept_job_load_batch(job, 1000, &header, (mp_bytes_t){"ab", 2}));
    OK(mpx_kept_job_begin(job, 0, unix_ms));
    mpx_buf_free(&open);
    mpx_buf_free(&body);
    return job;
}

START_TEST(test_time_goes_on_while_the_broker_is_down)
{
    ends_t ends = {0};
    mpx_kept_hooks_t hooks = {.self = &ends, .ended = note_ended, .emptied = note_emptied};
    begin(1 << 20, 0);
    mpx_kept_job_t *job = load_at(&hooks, 1004);
    ck_assert_int_eq(mpx_engine_deadline(engine), 6 * MS);
    mpx_kept_job_free(job, 0);
    job = load_at(&hooks, 400); /* the clock was set back: anew, and not for ever */
    ck_assert_int_eq(mpx_engine_deadline(engine), 10 * MS);
    mpx_kept_job_free(job, 0);
    job = load_at(&hooks, 1013);
    ck_assert_uint_eq(work_count, 2);
    ck_assert_uint_eq(work[0].header.deadline_ms, 12);
    mpx_kept_job_free(job, 0);
    ck_assert_uint_eq(ends.calls, 0);
    job = load_at(&hooks, 1025);
    ck_assert_uint_eq(ends.calls, 2);
    ck_assert_uint_eq(ends.batches, 1);
    ck_assert_ptr_null(job->batches);
    mpx_kept_job_free(job, 0);
    job = load_at(&hooks, UINT64_MAX);
    ck_assert_uint_eq(ends.calls, 4);
    mpx_kept_job_free(job, 0);
    end();
}
END_TEST

static void says(const char *letters)
{
    mpx_buf_t payload = {0};
    mpx_header_t header = {.op = MPX_OP_OUTPUT,
                           .chunk = work[0].header.chunk,
                           .first = work[0].header.first,
                           .kind = MPX_STDOUT,
                           .nonce = 4711};
    OK(mpx_output_pack(&payload, "there", (mp_bytes_t){letters, strlen(letters)}));
    OK(mpx_engine_message(engine, 0, WORKER, &header, mpx_buf_bytes(&payload)));
    mpx_buf_free(&payload);
}

static void heard(const sent_t *said, uint64_t peer, uint64_t lost, const char *letters)
{
    char host[MPX_HOST_MAX];
    mp_bytes_t bytes;
    ck_assert_int_eq(said->header.op, MPX_OP_JOB_SAID);
    ck_assert_uint_eq(said->peer, peer);
    ck_assert_uint_eq(said->header.kind, MPX_STDOUT);
    ck_assert_uint_eq(said->header.count, 4711);
    ck_assert_uint_eq(said->header.bytes, lost);
    OK(mpx_output_unpack((mp_bytes_t){said->payload, said->size}, host, &bytes));
    ck_assert_uint_eq(bytes.size, strlen(letters));
    ck_assert_mem_eq(bytes.data, letters, bytes.size);
}

/* Nobody comes, and no worker does: it has an end all the same. */
START_TEST(test_calls_do_not_wait_for_a_worker_for_ever)
{
    mpx_loss_t loss = {.rc = MP_EWORKERLOST, .name = "worker"};
    begin(1 << 20, 1 << 20);
    OK(mpx_engine_worker_lost(engine, 0, WORKER, MPX_CHARGE_NONE, &loss));
    mpx_keep_t wanted = keep_of("j", "", 7);
    wanted.dead_letters = true;
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "ab", true));
    mpx_archive_gone(archive, &one);
    turn(0);
    OK(mpx_engine_tick(engine, WAIT_MS * (int64_t)MS - 1));
    ck_assert_uint_eq(look(&two, 0, "j").ended, 0);
    OK(mpx_engine_tick(engine, WAIT_MS * (int64_t)MS));
    ck_assert_uint_eq(look(&two, WAIT_MS * (int64_t)MS, "j").ended, 2);
    turn(WAIT_MS * (int64_t)MS);
    turn((WAIT_MS + KEEP_MS) * (int64_t)MS);
    ck_assert(!is_there(&two, "j"));
    ck_assert_uint_eq(count_letters(&two), 2); /* what was not run can be */
    end();
}
END_TEST

START_TEST(test_output_is_told_to_who_hears)
{
    begin(1 << 20, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    OK(put(&one, 1, 0, "a", true));
    sent_count = 0;
    says("nobody");
    ck_assert_uint_eq(sent_count, 0);
    mpx_keep_t again = keep_of("j", "", 8);
    again.attach = again.hears = true;
    OK(keep(&two, 1, again, "t"));
    only(MPX_OP_JOB_INFO);
    says("hello");
    ck_assert_uint_eq(sent_count, 1);
    heard(&sent[0], two.id, 6, "hello");
    sent_count = 0;
    has_credit = false;
    says("lost");
    has_credit = true;
    says("more");
    ck_assert_uint_eq(sent_count, 1);
    heard(&sent[0], two.id, 4, "more");
    sent_count = 0;
    mpx_archive_gone(archive, &two);
    says("gone");
    OK(keep(&two, 2, again, "t"));
    only(MPX_OP_JOB_INFO);
    says("back");
    heard(&sent[0], two.id, 4, "back");
    end();
}
END_TEST

START_TEST(test_dead_letters)
{
    begin(1 << 20, 1 << 20);
    mpx_keep_t wanted = keep_of("j", "", 7);
    wanted.dead_letters = true;
    wanted.retries = 1;
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "ab", true));
    sent_count = 0;
    ck_assert_uint_eq(work_off(0, MP_EFAILED), 4); /* each of the two is tried again */
    turn(0);
    mpx_dead_order_t order = {.what = MPX_DEAD_LIST};
    mpx_buf_t body = {0};
    OK(mpx_dead_order_pack(&order, &body));
    mpx_header_t header = {.op = MPX_OP_JOB_DEAD, .nonce = 2};
    OK(ask(&one, 0, header, body.data, body.size));
    ck_assert_uint_eq(sent_count, 3);
    mpx_dead_letter_t letter;
    void *arena;
    OK(mpx_dead_letter_unpack((mp_bytes_t){sent[1].payload, sent[1].size}, &letter, &arena));
    ck_assert_str_eq(letter.job, "j");
    ck_assert_uint_eq(letter.index, 1);
    ck_assert_int_eq(letter.code, MP_EFAILED);
    free(arena);
    sent_count = 0;
    order = (mpx_dead_order_t){.what = MPX_DEAD_REQUEUE, .id = "again", .token = 9};
    mpx_buf_clear(&body);
    OK(mpx_dead_order_pack(&order, &body));
    OK(ask(&one, 0, header, body.data, body.size));
    only(MPX_OP_JOB_INFO);
    OK(ask(&one, 0, header, body.data, body.size)); /* the answer was lost */
    only(MPX_OP_JOB_INFO);
    work_off(0, MP_OK);
    wanted = keep_of("again", "", 8);
    wanted.attach = true;
    OK(keep(&two, 1, wanted, "t"));
    only(MPX_OP_JOB_INFO);
    OK(take(&two, 1, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "ab");
    mpx_buf_free(&body);
    end();
}
END_TEST

START_TEST(test_strangers)
{
    begin(1 << 20, 1 << 20);
    OK(keep(&one, 1, keep_of("../x", "", 7), "t"));
    answered(MPX_OP_JOB_KEEP, MP_EINVAL);
    ck_assert_int_eq(keep(&one, 0, keep_of("j", "", 7), "t"), MP_EPROTO);
    ck_assert_int_eq(keep(&one, 1, keep_of("j", "", 0), "t"), MP_EPROTO);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    only(MPX_OP_JOB_INFO);
    ck_assert_int_eq(keep(&one, 1, keep_of("k", "", 7), "t"), MP_EPROTO);
    ck_assert_int_eq(put(&one, 1, 1, "a", false), MP_EPROTO);
    mpx_header_t lying = {.op = MPX_OP_JOB_PUT, .nonce = 1, .count = 1000, .item_bytes = 8};
    ck_assert_int_eq(ask(&one, 0, lying, "abc", 3), MP_EPROTO);
    OK(put(&two, 1, 0, "a", false)); /* another one's handle */
    answered(MPX_OP_JOB_PUT, MP_ENOTFOUND);
    static const unsigned char garbage[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    static const mpx_op_t ops[] = {MPX_OP_JOB_KEEP, MPX_OP_JOB_DEAD};
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(
            ask(&one, 0, (mpx_header_t){.op = ops[i], .nonce = 9}, garbage, sizeof garbage),
            MP_EPROTO);
    uint64_t falling[] = {2, 1};
    mpx_dead_order_t order = {.what = MPX_DEAD_DROP, .numbers = falling, .numbers_count = 2};
    mpx_buf_t body = {0};
    OK(mpx_dead_order_pack(&order, &body));
    ck_assert_int_eq(
        ask(&one, 0, (mpx_header_t){.op = MPX_OP_JOB_DEAD, .nonce = 9}, body.data, body.size),
        MP_EPROTO);
    OK(take(&one, 1, UINT64_MAX));
    mpx_buf_free(&body);
    end();
}
END_TEST

START_TEST(test_who_uses_too_many_leaves_no_job)
{
    enum { HANDLES_MAX = 4096 }; /* that one client may have */
    mpx_archive_counts_t counts;
    begin(1 << 20, 0);
    one.job_handles += HANDLES_MAX;
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    one.job_handles -= HANDLES_MAX;
    answered(MPX_OP_JOB_KEEP, MP_ELIMIT);
    mpx_archive_count(archive, &counts);
    ck_assert_uint_eq(counts.jobs, 0);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_outcomes_until_they_are_had,
                                  test_inputs_that_come_again,
                                  test_one_takes_at_a_time,
                                  test_a_lost_maker_is_waited_for,
                                  test_a_maker_that_leaves_is_not_waited_for,
                                  test_what_was_never_closed_is_told_from_what_was,
                                  test_a_job_that_never_got_a_call_is_in_nobodys_way,
                                  test_delays_and_deadlines,
                                  test_time_goes_on_while_the_broker_is_down,
                                  test_calls_do_not_wait_for_a_worker_for_ever,
                                  test_output_is_told_to_who_hears,
                                  test_dead_letters,
                                  test_strangers,
                                  test_who_uses_too_many_leaves_no_job,
                                  NULL};
    return suite_run("archive", tests, 20);
}
