/* The broker's sessions over its restarts, and a disk that is full in between. */
#include "ok.h"
#include "suite.h"

#include "clock.h"
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* There is no archive beside this ledger. */
bool mpx_archive_disk_owns(mp_bytes_t key);
bool mpx_archive_disk_owns(mp_bytes_t key)
{
    (void)key;
    return false;
}

static char directory[64];
static mpx_store_t *store;
static mpx_engine_t *engine;
static mpx_ledger_t *ledger;
static mpx_log_t quiet;
static uint64_t given;   /* the chunk that the worker was given last */
static unsigned results; /* that the client was sent */

static mp_rc_t to_worker(void *self, uint64_t worker, const mpx_header_t *header,
                         mp_bytes_t payload)
{
    (void)self, (void)worker, (void)payload;
    if (header->op == MPX_OP_SUBMIT)
        given = header->chunk;
    return MP_OK;
}

static void stop_worker(void *self, uint64_t worker, uint64_t job, uint64_t chunk,
                        mpx_stop_stage_t stage, mp_rc_t why)
{
    (void)self, (void)worker, (void)job, (void)chunk, (void)stage, (void)why;
}

static mp_rc_t to_client(mpx_peer_t *peer, const mpx_header_t *header, mp_bytes_t payload)
{
    (void)peer, (void)payload;
    results += header->op == MPX_OP_RESULT;
    return MP_OK;
}

static void start(void)
{
    mpx_transport_t transport = {.send = to_worker, .stop = stop_worker};
    mpx_store_options_t options = {.directory = directory, .max_bytes = 1 << 20};
    mpx_log_init(&quiet, MP_LOG_ERROR, -1);
    OK(mpx_store_open(&options, &store));
    OK(mpx_engine_new(&transport, "here", &engine));
    mpx_ledger_options_t mine = {.engine = engine,
                                 .store = store,
                                 .relay = {.match = true, .wait_ns = MPX_S, .max_jobs = 9},
                                 .session_ms = 10000,
                                 .max_sessions = 9,
                                 .log = &quiet,
                                 .send = to_client};
    OK(mpx_ledger_new(&mine, 0, &ledger));
}

/* As kill -9 does. */
static void die(void)
{
    mpx_ledger_destroy(&ledger);
    mpx_engine_destroy(&engine);
    mpx_store_close(&store);
}

/* The end of a turn of the broker's loop, with a disk that is full or not. */
static void commit(bool full)
{
    OK(mpx_ledger_flush(ledger, 0));
    if (full)
        mpx_store_abort(store);
    else
        OK(mpx_store_commit(store));
    mpx_ledger_settle(ledger, 0, full ? MP_ENOSPACE : MP_OK);
    ck_assert_ptr_null(mpx_ledger_check(ledger));
}

static mpx_welcome_t come(mpx_peer_t *peer, uint64_t kept, uint64_t had)
{
    mpx_hello_t hello = {.session = 7, .session_secret = 8, .kept = kept, .had = had};
    mpx_welcome_t welcome = {0};
    mpx_peer_t *replaced;
    *peer = (mpx_peer_t){.id = 1, .name = "a client"};
    OK(mpx_ledger_let_in(ledger, 0, peer, &hello, &welcome, &replaced));
    return welcome;
}

static void say(const mpx_peer_t *peer, mpx_header_t header, mp_bytes_t payload)
{
    OK(mpx_account_message(peer->account, 0, &header, payload));
}

static void say_open(const mpx_peer_t *peer)
{
    mpx_open_t open = {.task = "t", .signature = "int -> int", .label = ""};
    mpx_buf_t body = {0};
    OK(mpx_open_pack(&open, &body));
    say(peer, (mpx_header_t){.op = MPX_OP_OPEN, .job = 1}, mpx_buf_bytes(&body));
    mpx_buf_free(&body);
}

static void say_submit(const mpx_peer_t *peer, uint64_t chunk)
{
    mpx_header_t header = {
        .op = MPX_OP_SUBMIT, .job = 1, .chunk = chunk, .first = chunk, .count = 1, .item_bytes = 4};
    say(peer, header, (mp_bytes_t){"four", 4});
}

static void work_it_off(void)
{
    mpx_offer_t offer = {"t", "int -> int"};
    mpx_hello_t hello = {.role = MPX_ROLE_WORKER, .tasks = &offer, .tasks_count = 1};
    mpx_worker_spec_t spec = {.slots = 1, .horizon_ns = MPX_MS, .credit_bytes = 1 << 20};
    given = 0;
    OK(mpx_engine_worker_join(engine, 0, 9, &hello, &spec));
    ck_assert_uint_ne(given, 0);
    mpx_header_t header = {
        .op = MPX_OP_RESULT, .chunk = given, .first = 1, .count = 1, .item_bytes = 4};
    OK(mpx_engine_message(engine, 0, 9, &header, (mp_bytes_t){"done", 4}));
}

static void make_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/mp-test-ledger-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert_int_eq(system(command), 0);
}

/* The client has had a letter that the disk never knew, and another one got its number: it must not
 * count as had. */
START_TEST(a_result_made_after_a_full_disk_is_not_taken_for_one_that_was_had)
{
    mpx_peer_t peer;
    make_directory();
    start();
    ck_assert(come(&peer, 0, 0).resumed);
    say_open(&peer);
    say_submit(&peer, 1);
    commit(false);
    say_submit(&peer, 2);
    commit(true);
    say_submit(&peer, 3); /* is refused by a RESULT */
    commit(true);
    ck_assert_uint_eq(results, 1);
    die();
    start();
    work_it_off();
    commit(false);
    die();
    start();
    ck_assert(!come(&peer, 2, 1).resumed);
    die();
    remove_directory();
}
END_TEST

/* But one that was sent by a later broker does. */
START_TEST(a_result_that_was_sent_counts_as_had_after_a_restart)
{
    mpx_peer_t peer;
    make_directory();
    start();
    ck_assert(come(&peer, 0, 0).resumed);
    say_open(&peer);
    say_submit(&peer, 1);
    commit(false);
    die();
    start();
    work_it_off();
    commit(false);
    ck_assert(come(&peer, 2, 0).resumed);
    commit(false);
    ck_assert_uint_eq(results, 1);
    die();
    start();
    ck_assert(come(&peer, 2, 1).resumed);
    die();
    remove_directory();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_result_made_after_a_full_disk_is_not_taken_for_one_that_was_had,
        a_result_that_was_sent_counts_as_had_after_a_restart,
        NULL,
    };
    return suite_run("ledger", tests, 30);
}
