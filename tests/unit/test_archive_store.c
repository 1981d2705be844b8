/* Kept jobs with a store whose disk is full for a while. */
#include "archive_kit.h"

static uint64_t kept_jobs(void)
{
    mpx_archive_counts_t counts;
    mpx_archive_count(archive, &counts);
    return counts.jobs;
}

START_TEST(test_a_keep_that_is_refused_leaves_nothing)
{
    begin_with_disk();
    disk_is_full = true;
    OK(keep(&one, 1, keep_of("j", "k", 7), "t"));
    answered(MPX_OP_JOB_KEEP, MP_ENOSPACE);
    ck_assert_uint_eq(kept_jobs(), 0);
    ck_assert_uint_eq(one.job_handles, 0);
    disk_is_full = false;
    turn(1000 * (int64_t)MS);
    ck_assert(!is_there(&two, "j"));
    OK(keep(&one, 1, keep_of("j", "k", 8), "t")); /* the same nonce: it is free */
    only(MPX_OP_JOB_INFO);
    OK(put(&one, 1, 0, "a", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    end_with_disk();
}
END_TEST

START_TEST(test_what_was_asked_with_it_is_refused_too)
{
    mpx_buf_t open = {0}, body = {0};
    mpx_open_t opened = {.task = "t", .signature = "bytes -> bytes little"};
    mpx_keep_t wanted = keep_of("j", "", 7);
    begin_with_disk();
    disk_is_full = true;
    OK(mpx_open_pack(&opened, &open));
    wanted.open = mpx_buf_bytes(&open);
    OK(mpx_keep_pack(&wanted, &body));
    mpx_header_t asked[] = {
        {.op = MPX_OP_JOB_KEEP, .nonce = 1},
        {.op = MPX_OP_JOB_PUT, .nonce = 1, .count = 1, .item_bytes = 1, .kind = MPX_JOB_LAST},
        {.op = MPX_OP_JOB_TAKE, .nonce = 1, .bytes = 100}};
    mp_bytes_t payloads[] = {mpx_buf_bytes(&body), {"a", 1}, {NULL, 0}};
    for (size_t i = 0; i < 3; i++)
        OK(mpx_archive_message(archive, 0, &one, &asked[i], payloads[i]));
    turn(0);
    ck_assert_uint_eq(sent_count, 3);
    ck_assert_int_eq(sent[0].header.code, MP_ENOSPACE);
    ck_assert_int_eq(sent[1].header.code, MP_ENOSPACE);
    ck_assert_int_eq(sent[2].header.op, MPX_OP_JOB_DONE);
    ck_assert_int_eq(sent[2].header.code, MP_ENOTFOUND);
    ck_assert_uint_eq(kept_jobs(), 0);
    disk_is_full = false;
    mpx_buf_free(&open);
    mpx_buf_free(&body);
    end_with_disk();
}
END_TEST

START_TEST(test_who_is_refused_has_no_handle_on_a_job_that_is_there)
{
    mpx_keep_t reader = keep_of("j", "", 8);
    reader.attach = true;
    begin_with_disk();
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    only(MPX_OP_JOB_INFO);
    disk_is_full = true;
    OK(put(&one, 1, 0, "a", true));
    answered(MPX_OP_JOB_PUT, MP_ENOSPACE);
    OK(keep(&two, 1, reader, "t"));
    answered(MPX_OP_JOB_KEEP, MP_ENOSPACE);
    ck_assert_uint_eq(two.job_handles, 0);
    disk_is_full = false;
    turn(1000 * (int64_t)MS);
    OK(keep(&two, 1, reader, "t"));
    only(MPX_OP_JOB_INFO);
    end_with_disk();
}
END_TEST

START_TEST(test_letters_stay_until_the_disk_lets_them_go)
{
    static const mpx_dead_what_t whats[] = {MPX_DEAD_REQUEUE, MPX_DEAD_DROP};
    mpx_header_t header = {.op = MPX_OP_JOB_DEAD, .nonce = 2};
    mpx_keep_t wanted = keep_of("j", "", 7);
    wanted.dead_letters = true;
    begin_with_disk();
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "ab", true));
    work_off(0, MP_EFAILED);
    turn(0);
    mpx_archive_gone(archive, &one);
    for (size_t i = 0; i < 2; i++) {
        mpx_dead_order_t order = {.what = whats[i], .id = "again", .token = 9};
        mpx_buf_t body = {0};
        int64_t now = (int64_t)i * 1000 * MS;
        OK(mpx_dead_order_pack(&order, &body));
        ck_assert_uint_eq(count_letters(&two), 2);
        disk_is_full = true;
        OK(ask(&one, now, header, body.data, body.size));
        answered(MPX_OP_JOB_DEAD, MP_ENOSPACE);
        disk_is_full = false;
        turn(now + 999 * (int64_t)MS);
        ck_assert(!is_there(&two, "again"));
        ck_assert_uint_eq(count_letters(&two), 2);
        mpx_buf_free(&body);
    }
    ck_assert_uint_eq(work_count, 0);
    end();
    mpx_store_close(&store);
    open_store();
    begin(1 << 20, 1 << 20); /* so it is on the disk */
    ck_assert_uint_eq(count_letters(&two), 2);
    end_with_disk();
}
END_TEST

/* On the disk there is whether its maker has closed it, or has gone for good: only one that was
 * lost with the broker is waited for. */
START_TEST(test_the_state_of_its_maker_outlives_the_broker)
{
    begin_with_disk();
    OK(keep(&two, 1, keep_of("left", "", 7), "t"));
    OK(put(&two, 1, 0, "a", false));
    mpx_archive_gone(archive, &two);
    turn(0);
    turn(RETURN_MS * MS);
    OK(keep(&one, 1, keep_of("lost", "", 7), "t"));
    OK(put(&one, 1, 0, "a", false));
    OK(keep(&one, 2, keep_of("whole", "", 7), "t"));
    OK(put(&one, 2, 0, "a", true));
    end();
    mpx_store_close(&store);
    open_store();
    begin(1 << 20, 1 << 20);
    turn(0);
    ck_assert(look(&two, 0, "whole").complete);
    ck_assert(!look(&two, 0, "lost").complete);
    ck_assert(look(&two, 0, "lost").open);
    ck_assert(!look(&two, 0, "left").complete);
    ck_assert(!look(&two, 0, "left").open);
    turn(RETURN_MS * MS);
    ck_assert(!look(&two, RETURN_MS * MS, "lost").open);
    end_with_disk();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_a_keep_that_is_refused_leaves_nothing,
                                  test_what_was_asked_with_it_is_refused_too,
                                  test_who_is_refused_has_no_handle_on_a_job_that_is_there,
                                  test_letters_stay_until_the_disk_lets_them_go,
                                  test_the_state_of_its_maker_outlives_the_broker,
                                  NULL};
    return suite_run("archive_store", tests, 20);
}
