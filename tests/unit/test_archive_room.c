/* Kept jobs: how long they stay, and how much room they have. */
#include "archive_kit.h"

START_TEST(test_time_and_bytes)
{
    begin(65536, 0);
    mpx_keep_t wanted = keep_of("j", "", 7);
    wanted.keep_ms = 100;
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "a", true));
    work_off(0, MP_OK);
    turn(5 * MS);
    ck_assert_int_eq(mpx_archive_deadline(archive), (5 + KEEP_MS) * (int64_t)MS);
    mpx_archive_gone(archive, &one);
    turn(10 * MS);
    ck_assert_int_eq(mpx_archive_deadline(archive), 110 * (int64_t)MS);
    turn(109 * MS);
    wanted = keep_of("j", "", 8);
    wanted.attach = true;
    sent_count = 0;
    OK(keep(&one, 1, wanted, "t"));
    only(MPX_OP_JOB_INFO);
    turn((KEEP_MS - 1) * (int64_t)MS);
    mpx_archive_gone(archive, &one);
    turn((KEEP_MS - 1) * (int64_t)MS);
    turn((KEEP_MS + 99) * (int64_t)MS);
    OK(keep(&one, 1, wanted, "t"));
    answered(MPX_OP_JOB_KEEP, MP_ENOTFOUND);
    char id[] = "a";
    for (mp_rc_t code = MP_OK; code == MP_OK; id[0]++) {
        ck_assert_int_le(id[0], 'z' + 30);
        OK(keep(&one, (uint64_t)id[0], keep_of(id, "", 7), "t"));
        code = (mp_rc_t)sent[0].header.code;
        ck_assert(code == MP_OK || code == MP_ELIMIT);
        sent_count = 0;
        if (id[0] == 'z')
            id[0] = 'A' - 1;
        if (id[0] == 'Z')
            break;
    }
    end();
}
END_TEST

START_TEST(test_who_has_it_and_takes_nothing_does_not_keep_it)
{
    mpx_header_t next = {.op = MPX_OP_JOB_TAKE, .nonce = 1, .bytes = 1};
    mpx_keep_t wanted = keep_of("j", "", 7);
    begin(65536, 0);
    wanted.keep_ms = 1; /* which is for when nobody is there */
    OK(keep(&one, 1, wanted, "t"));
    OK(put(&one, 1, 0, "ab", true));
    work_off(0, MP_OK);
    turn(0);
    sent_count = 0;
    OK(ask(&one, 900 * MS, next, NULL, 0));
    gives(only(MPX_OP_JOB_GIVE), 0, "a");
    turn((900 + KEEP_MS - 1) * (int64_t)MS);
    next.first = 1;
    OK(ask(&one, (900 + KEEP_MS - 1) * (int64_t)MS, next, NULL, 0));
    gives(only(MPX_OP_JOB_GIVE), 1, "b");
    turn((900 + KEEP_MS + KEEP_MS - 1) * (int64_t)MS);
    next.first = 2;
    OK(ask(&one, (900 + KEEP_MS + KEEP_MS - 1) * (int64_t)MS, next, NULL, 0));
    answered(MPX_OP_JOB_TAKE, MP_ENOTFOUND);
    end();
}
END_TEST

/* What is kept of so many calls is more than the limit before one of them has run. */
START_TEST(test_jobs_alone_are_too_much)
{
    enum { LIMIT = 65536, CALLS = 1025 };
    char letters[CALLS] = {0};
    uint64_t had = 0;
    begin(LIMIT, 0);
    OK(keep(&one, 1, keep_of("j", "", 7), "t"));
    memset(letters, 'x', CALLS - 1);
    sent_count = 0;
    letters[900] = 0;
    OK(put(&one, 1, 0, letters, false));
    answered(MPX_OP_JOB_PUT, MP_OK);
    letters[900] = 'x';
    OK(put(&one, 1, 900, letters + 900, false));
    answered(MPX_OP_JOB_PUT, MP_OK);
    OK(put(&one, 1, CALLS - 1, "x", true));
    answered(MPX_OP_JOB_PUT, MP_OK);
    for (int i = 0; i < 4 * CALLS && had < CALLS; i++) {
        mpx_header_t wanted = {.op = MPX_OP_JOB_TAKE, .nonce = 1, .first = had, .bytes = 100};
        work_off(0, MP_OK);
        OK(ask(&one, 0, wanted, NULL, 0));
        had += sent_count ? only(MPX_OP_JOB_GIVE)->header.count : 0;
    }
    ck_assert_uint_eq(had, CALLS);
    end();
}
END_TEST

/* So many calls that the outcomes of some are all the room that there is. */
enum { TIGHT_BYTES = 65536, MANY_CALLS = 900, LARGE_BYTES = 200 };

/* The worker has few of its calls at a time. */
static mpx_keep_t large_of(const char *key)
{
    mpx_keep_t wanted = keep_of("large", key, 7);
    wanted.keep_ms = 100;
    wanted.chunk_calls = 1;
    return wanted;
}

static void put_many(mpx_peer_t *peer, uint64_t nonce)
{
    char letters[MANY_CALLS + 1] = {0};
    memset(letters, 'x', MANY_CALLS);
    OK(put(peer, nonce, 0, letters, true));
}

/* The worker does a chunk, with large outcomes. How many calls. */
static uint32_t enlarge(int64_t now)
{
    static const unsigned char values[MANY_CALLS * LARGE_BYTES];
    const mpx_header_t *given = &work[0].header;
    ck_assert_uint_gt(work_count, 0);
    mpx_header_t header = {.op = MPX_OP_RESULT,
                           .chunk = given->chunk,
                           .first = given->first,
                           .count = given->count,
                           .item_bytes = LARGE_BYTES,
                           .busy_ns = given->count * (uint64_t)MS};
    memmove(work, work + 1, --work_count * sizeof *work);
    OK(mpx_engine_message(engine, now, WORKER, &header,
                          (mp_bytes_t){values, header.count * (size_t)LARGE_BYTES}));
    turn(now);
    return header.count;
}

/* Until it is given no more. How many calls. */
static size_t enlarge_all(int64_t now)
{
    size_t calls = 0;
    while (work_count)
        calls += enlarge(now);
    return calls;
}

START_TEST(test_who_takes_the_room_and_is_abandoned_is_given_up)
{
    const int64_t held_at = 1000 * (int64_t)MS;
    begin(TIGHT_BYTES, 40000);
    mpx_keep_t wanted = keep_of("waits", "", 7);
    wanted.delay_ms = 500;
    OK(keep(&two, 1, wanted, "t"));
    OK(put(&two, 1, 0, "abc", true));
    mpx_archive_gone(archive, &two);
    wanted = large_of("");
    wanted.dead_letters = true;
    OK(keep(&one, 1, wanted, "t"));
    put_many(&one, 1);
    mpx_archive_gone(archive, &one);
    size_t ended = enlarge_all(held_at);
    ck_assert_uint_gt(ended, 0);
    ck_assert_uint_lt(ended, MANY_CALLS);
    OK(mpx_engine_tick(engine, held_at)); /* the delay of the other one is over; it is held */
    ck_assert_uint_eq(work_count, 0);
    turn(held_at + 99 * MS);
    ck_assert_uint_eq(count_letters(&one), 0);
    turn(held_at + 100 * MS);
    ck_assert_uint_gt(count_letters(&one), 0); /* what was not run can be */
    ck_assert(!is_there(&one, "large"));
    ck_assert_uint_eq(work_off(held_at, MP_OK), 3);
    ck_assert(is_there(&two, "waits"));
    end();
}
END_TEST

START_TEST(test_who_has_it_and_takes_nothing_does_not_keep_the_room)
{
    mpx_keep_t wanted = keep_of("waits", "", 7);
    begin(TIGHT_BYTES, 0);
    wanted.delay_ms = 500;
    OK(keep(&two, 1, wanted, "t"));
    OK(put(&two, 1, 0, "abc", true));
    OK(keep(&one, 1, large_of(""), "t"));
    put_many(&one, 1);
    enlarge_all(0);
    OK(mpx_engine_tick(engine, 500 * MS));
    turn((KEEP_MS - 1) * (int64_t)MS);
    ck_assert_uint_eq(work_count, 0);
    turn(KEEP_MS * (int64_t)MS); /* the rest of its calls end */
    turn(KEEP_MS * (int64_t)MS);
    turn(2 * KEEP_MS * (int64_t)MS); /* and it is forgotten */
    turn(2 * KEEP_MS * (int64_t)MS);
    ck_assert(!is_there(&one, "large"));
    ck_assert_uint_eq(work_off(0, MP_OK), 3);
    end();
}
END_TEST

static mpx_archive_counts_t counts_now(void)
{
    mpx_archive_counts_t counts;
    mpx_archive_count(archive, &counts);
    return counts;
}

static void say(mpx_peer_t *peer, mpx_header_t header, mp_bytes_t payload)
{
    OK(mpx_archive_message(archive, 0, peer, &header, payload));
}

/* There is room again in the turn in which a job was made: it is not on the disk yet. */
START_TEST(test_room_lets_no_job_go_before_its_commit)
{
    mpx_buf_t open = {0}, body = {0};
    mpx_open_t opened = {.task = "t", .signature = "bytes -> bytes little"};
    mpx_keep_t wanted = keep_of("new", "", 7);
    mpx_header_t had = {.op = MPX_OP_JOB_FREE, .nonce = 1};
    make_disk();
    begin(TIGHT_BYTES, 0);
    OK(keep(&one, 1, large_of(""), "t"));
    put_many(&one, 1);
    enlarge_all(0);
    while (counts_now().bytes > TIGHT_BYTES - 4096) {
        had.first++;
        OK(ask(&one, 0, had, NULL, 0));
    }
    ck_assert(counts_now().held);
    ck_assert_uint_eq(work_count, 0);
    OK(mpx_open_pack(&opened, &open));
    wanted.open = mpx_buf_bytes(&open);
    OK(mpx_keep_pack(&wanted, &body));
    say(&two, (mpx_header_t){.op = MPX_OP_JOB_KEEP, .nonce = 1}, mpx_buf_bytes(&body));
    say(&two, (mpx_header_t){.op = MPX_OP_JOB_PUT, .nonce = 1, .count = 1, .item_bytes = 1},
        (mp_bytes_t){"a", 1});
    had.first = MANY_CALLS;
    say(&one, (mpx_header_t){.op = MPX_OP_JOB_CANCEL, .nonce = 1}, (mp_bytes_t){0});
    say(&one, had, (mp_bytes_t){0});
    OK(mpx_archive_flush(archive, 0));
    ck_assert(!counts_now().held);
    ck_assert_uint_eq(work_count, 0);
    OK(mpx_archive_settle(archive, 0, mpx_store_commit(store)));
    ck_assert_uint_eq(work_off(0, MP_OK), 1);
    mpx_buf_free(&open);
    mpx_buf_free(&body);
    end_with_disk();
}
END_TEST

START_TEST(test_no_more_are_given_up_than_take_the_room)
{
    mpx_keep_t wanted = keep_of("small", "", 7);
    begin(TIGHT_BYTES, 0);
    wanted.keep_ms = 100;
    wanted.retries = 1;
    wanted.retry_delay_ms = 1000;
    OK(keep(&two, 1, wanted, "t"));
    OK(put(&two, 1, 0, "a", false));
    work_off(0, MP_OK);
    OK(put(&two, 1, 1, "b", true));
    work_off(0, MP_EFAILED); /* so it has an outcome, and waits for another */
    mpx_archive_gone(archive, &two);
    OK(keep(&one, 1, large_of(""), "t"));
    put_many(&one, 1);
    mpx_archive_gone(archive, &one);
    enlarge_all(0);
    turn(100 * MS);
    ck_assert(!is_there(&one, "large"));
    ck_assert(is_there(&two, "small"));
    OK(mpx_engine_tick(engine, 5000 * (int64_t)MS));
    ck_assert_uint_eq(work_off(5000 * (int64_t)MS, MP_OK), 1);
    end();
}
END_TEST

START_TEST(test_what_runs_is_not_given_up)
{
    begin(TIGHT_BYTES, 0);
    mpx_keep_t wanted = large_of("");
    OK(keep(&one, 1, wanted, "t"));
    put_many(&one, 1);
    mpx_archive_gone(archive, &one);
    while (mpx_archive_deadline(archive) == INT64_MAX)
        enlarge(0);
    ck_assert_uint_gt(work_count, 0); /* the worker has some yet */
    turn(100 * MS);
    turn(199 * MS);
    ck_assert(is_there(&one, "large"));
    enlarge_all(199 * MS);
    turn(298 * MS);
    ck_assert(is_there(&one, "large"));
    turn(298 * MS); /* who looked has gone */
    turn(398 * MS);
    ck_assert(!is_there(&one, "large"));
    end();
}
END_TEST

/* Outcomes of a job with a key are not freed by fetching them. */
START_TEST(test_a_job_with_a_key_that_is_too_large_ends)
{
    uint64_t had = 0;
    begin(TIGHT_BYTES, 0);
    mpx_keep_t wanted = large_of("key");
    OK(keep(&one, 1, wanted, "t"));
    put_many(&one, 1);
    size_t ended = enlarge_all(0);
    ck_assert_uint_lt(ended, MANY_CALLS);
    sent_count = 0;
    turn(99 * MS);
    OK(mpx_archive_flush(archive, 100 * MS));
    OK(mpx_archive_settle(archive, 100 * MS, MP_OK));
    for (bool over = false; !over;) {
        mpx_header_t next = {.op = MPX_OP_JOB_TAKE, .nonce = 1, .first = had, .bytes = 1};
        OK(ask(&one, 100 * MS, next, NULL, 0));
        const sent_t *given = only(MPX_OP_JOB_GIVE);
        mp_bytes_t rest = {given->payload, given->size};
        mpx_record_t record;
        over = given->header.code == MP_EOF;
        for (uint32_t i = 0; i < given->header.count; i++) {
            OK(mpx_record_next(&rest, &record));
            ck_assert_int_eq(record.rc, had++ < ended ? MP_OK : MP_ELIMIT);
        }
    }
    ck_assert_uint_eq(had, MANY_CALLS);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_time_and_bytes,
                                  test_who_has_it_and_takes_nothing_does_not_keep_it,
                                  test_jobs_alone_are_too_much,
                                  test_who_takes_the_room_and_is_abandoned_is_given_up,
                                  test_who_has_it_and_takes_nothing_does_not_keep_the_room,
                                  test_room_lets_no_job_go_before_its_commit,
                                  test_no_more_are_given_up_than_take_the_room,
                                  test_what_runs_is_not_given_up,
                                  test_a_job_with_a_key_that_is_too_large_ends,
                                  NULL};
    return suite_run("archive_room", tests, 20);
}
