/* What lasts of a manager's objects: undone to the last bit, or stored and there again; and the
 * protocol: each operation once, each answer until it is taken, windows. */
#include "objects_kit.h"

static kit_t kit;
static guest_t *ann, *bob;

static void setup(void)
{
    kit_open(&kit, (mpx_space_options_t){.durable = true, .wall_ms = 1000000000});
    ann = kit_come(&kit, "ann");
    bob = kit_come(&kit, "bob");
}

static void teardown(void)
{
    kit_close(&kit);
}

/* From here on the disk is full after so many changes. */
static void fail_after(int changes)
{
    kit.store.fail_after = changes;
}

/* It isn't any more, and the manager has noticed. */
static void disk_is_well(void)
{
    kit.store.fail_after = -1;
    kit.now += 2 * MPX_S;
    guest_ping(ann);
}

static void restart(int64_t later_ms)
{
    char *before = dump(&kit, DUMP_STORED);
    kit_restart(&kit, later_ms);
    SAME_DUMP(before, dump(&kit, DUMP_STORED));
    ann = kit_come(&kit, "ann");
    bob = kit_come(&kit, "bob");
}

static void make_one_of_each(uint64_t *dict, uint64_t *list, uint64_t *queue)
{
    *dict =
        make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "dict", .initial = "{\"a\":1}"});
    *list = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "list", .initial = "[3,1,2]"});
    *queue = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .name = "queue", .max_items = 3});
    make_of(ann, (making_t){.type = MP_OBJECT_SET, .name = "set", .initial = "[1,\"x\"]"});
    make_of(ann, (making_t){.type = MP_OBJECT_VALUE, .name = "v", .typecode = 'd', .initial = "2"});
    make_of(
        ann,
        (making_t){.type = MP_OBJECT_ARRAY, .name = "array", .typecode = 'i', .initial = "[1,2]"});
    make_of(ann, (making_t){.type = MP_OBJECT_SEMAPHORE, .name = "units", .value = 3});
    make_of(ann, (making_t){.type = MP_OBJECT_BARRIER, .name = "barrier", .value = 2});
    make_of(ann, (making_t){.type = MP_OBJECT_CONDITION, .name = "condition"});
    make_of(ann, (making_t){.type = MP_OBJECT_LOCK, .name = "lock", .ttl_ms = 60000});
}

START_TEST(what_was_committed_is_there_again)
{
    uint64_t dict, list, queue;
    make_one_of_each(&dict, &list, &queue);
    DOES(ann, dict, MAP_SET, MP_OK, "so", "l", list);
    DOES(ann, dict, MAP_SET, MP_OK, "sb", "raw", "bytes");
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "raw", 5000);
    DOES(ann, dict, MAP_DEL, MP_OK, "s", "a");
    DOES(ann, list, LIST_SORT, MP_OK, "n", 0);
    DOES(ann, list, LIST_INSERT, MP_OK, "ni", 1, 9);
    for (int i = 0; i < 3; i++)
        DOES(ann, queue, QUEUE_PUT, MP_OK, "i", i);
    SAYS(bob, queue, QUEUE_GET, "0 #0", "n", 1);
    DOES(bob, queue, QUEUE_GET, MP_OK, "n", 1); /* 1 is given, 0 finished */
    uint64_t token = 0;
    uint64_t lock = make_of(ann, (making_t){.type = MP_OBJECT_LOCK, .name = "lock"});
    token = number_of(ann, ask(ann, lock, MPX_LOCK_ACQUIRE, 0, "n", 1), 0);
    guest_go(bob, false);
    restart(1000);
    SAYS(ann, list, LIST_GET_SLICE, "[1,9,2,3]", "nnn", 0, 9, 1);
    SAYS(ann, queue, QUEUE_GET, "1 #0", "n", 1);
    ck_assert_uint_gt(number_of(bob, ask(bob, lock, MPX_LOCK_ACQUIRE, 0, "n", 1), 0), token);
    SAYS(bob, dict, MAP_CONTAINS, "#1", "s", "raw");
    kit_pass(&kit, 4000);
    guest_t *cay = kit_come(&kit, "cay"); /* the others had a stake, and were silent */
    SAYS(cay, dict, MAP_CONTAINS, "#0", "s", "raw");
    restart(60000);
    kit_pass(&kit, 1); /* its time was over while the server was down */
    DOES(bob, lock, LOCK_LOCKED, MP_ENOTFOUND, "");
}
END_TEST

START_TEST(what_is_given_to_somebody_is_stored)
{
    uint64_t queue = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .name = "q"});
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    DOES(bob, queue, QUEUE_GET, MP_OK, "n", 1); /* the row is empty: */
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 2); /* its rank isn't the first one's */
    ck_assert(mpx_space_is_sound(kit.space));
    kit_restart(&kit, 0);
    ann = kit_come(&kit, "ann");
    SAYS(ann, queue, QUEUE_GET, "1 #0", "n", 1);
    SAYS(ann, queue, QUEUE_GET, "2 #0", "n", 1);
}
END_TEST

START_TEST(references_to_what_is_gone_load)
{
    uint64_t list = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "l"});
    uint64_t gone = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "d"});
    uint64_t lock = make_of(ann, (making_t){.type = MP_OBJECT_LOCK, .name = "lock"});
    make_of(ann, (making_t){.type = MP_OBJECT_CONDITION, .name = "c", .lock = lock});
    DOES(ann, list, LIST_APPEND, MP_OK, "o", gone);
    DOES(ann, gone, DELETE, MP_OK, "");
    DOES(ann, lock, DELETE, MP_OK, ""); /* with its condition */
    restart(0);
    SAYS(ann, list, LEN, "#1", "");
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_CONDITION,
                                                         .name = "c",
                                                         .flags = MPX_MAKE_ONLY_OPEN})),
                     MP_ENOTFOUND);
}
END_TEST

/* ---- a full disk
 * --------------------------------------------------------------------------------- */

typedef struct change {
    unsigned method;
    const char *letters;
    const char *text;
} change_t;

static void check_undone(uint64_t object, const change_t *change, int after)
{
    char *before = dump(&kit, DUMP_ALL);
    fail_after(after);
    uint64_t number = ask(ann, object, change->method, 0, change->letters, change->text);
    ck_assert_msg(rc_of(ann, number) == MP_ENOSPACE, "%s: %s", mpx_method_name(change->method),
                  mp_errname(rc_of(ann, number)));
    ck_assert(mpx_space_is_sound(kit.space));
    SAME_DUMP(before, dump(&kit, DUMP_ALL));
    number = ask(ann, object, change->method, 0, change->letters, change->text);
    ck_assert_int_eq(rc_of(ann, number), MP_ENOSPACE); /* refused for a second */
    disk_is_well();
}

START_TEST(what_cant_be_stored_hasnt_happened)
{
    static const change_t of_dict[] = {{MPX_MAP_UPDATE, "j", "{\"a\":2,\"b\":3}"},
                                       {MPX_CLEAR, "", NULL},
                                       {MPX_DELETE, "", NULL},
                                       {MPX_MAP_DEL, "s", "a"},
                                       {MPX_MAP_POPITEM, "", NULL}};
    static const change_t of_list[] = {{MPX_LIST_EXTEND, "j", "[7,8]"}, {MPX_LIST_APPEND, "s", "x"},
                                       {MPX_LIST_REVERSE, "", NULL},    {MPX_CLEAR, "", NULL},
                                       {MPX_LIST_REMOVE, "j", "1"},     {MPX_DELETE, "", NULL}};
    uint64_t dict, list, queue;
    make_one_of_each(&dict, &list, &queue);
    DOES(ann, dict, EXPIRE, MP_OK, "n", 1000000);
    DOES(ann, dict, MAP_SET, MP_OK, "so", "l", list);
    DOES(ann, dict, MAP_EXPIRE, MP_OK, "sn", "a", 1000000);
    for (size_t i = 0; i < sizeof of_dict / sizeof *of_dict; i++)
        check_undone(dict, &of_dict[i], i < 2 ? _i : 0); /* one that has two changes */
    for (size_t i = 0; i < sizeof of_list / sizeof *of_list; i++)
        check_undone(list, &of_list[i], i == 0 ? _i : 0);
    restart(0);
}
END_TEST

START_TEST(queues_are_undone_as_well)
{
    uint64_t queue = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .name = "q"});
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 2);
    SAYS(bob, queue, QUEUE_GET, "1 #0", "n", 1);
    fail_after(0);
    DOES(bob, queue, QUEUE_GET, MP_ENOSPACE, "n", 1); /* would have finished 1 */
    disk_is_well();
    guest_go(bob, false);
    SAYS(ann, queue, QUEUE_GET, "1 #1", "n", 1); /* it hadn't */
    SAYS(ann, queue, QUEUE_GET, "2 #0", "n", 1);
    fail_after(0);
    DOES(ann, queue, QUEUE_PUT, MP_ENOSPACE, "i", 3);
    disk_is_well();
    DOES(ann, queue, QUEUE_GET, MP_EEMPTY, "n", 1);
    fail_after(0);
    ck_assert_int_eq(rc_of(ann, try_make(ann, (making_t){.type = MP_OBJECT_CONDITION})),
                     MP_ENOSPACE);
    disk_is_well();
    restart(0);
}
END_TEST

/* In one batch: a put that fails, and who has got it. */
START_TEST(what_was_got_of_a_failed_batch_goes_back)
{
    uint64_t queue = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .name = "q"});
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    kit.hold_commit = true;
    uint64_t put = ask(ann, queue, MPX_QUEUE_PUT, 0, "i", 2);
    uint64_t one = ask(bob, queue, MPX_QUEUE_GET, 0, "n", 1);
    uint64_t two = ask(bob, queue, MPX_QUEUE_GET, 0, "n", 2);
    kit.hold_commit = false;
    fail_after(0);
    kit_drain(&kit);
    ck_assert_int_eq(rc_of(ann, put), MP_ENOSPACE);
    ck_assert_int_eq(rc_of(bob, one), MP_ENOSPACE);
    ck_assert_int_eq(rc_of(bob, two), MP_ENOSPACE);
    disk_is_well();
    SAYS(bob, queue, QUEUE_GET, "1 #0", "n", 1);
    DOES(bob, queue, QUEUE_GET, MP_EEMPTY, "n", 2);
}
END_TEST

START_TEST(an_answer_that_was_stored_isnt_taken_back)
{
    uint64_t dict = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "d"});
    ann->shy = true;
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 1);
    guest_detach(ann);
    ck_assert(guest_attach(ann)); /* all answers are to be sent again */
    fail_after(0);
    DOES(bob, dict, MAP_SET, MP_ENOSPACE, "si", "a", 2);
    ann->had -= 1;
    ann->answers[2].known = false;
    mpx_buf_free(&ann->answers[2].bytes);
    guest_detach(ann);
    ck_assert(guest_attach(ann));
    kit_drain(&kit);
    OK(rc_of(ann, 2));
    disk_is_well();
}
END_TEST

START_TEST(what_lingers_or_expires_on_a_full_disk_ends_later)
{
    uint64_t kept = make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "k", .ttl_ms = 5000});
    uint64_t list = make(ann, MP_OBJECT_LIST, NULL);
    DOES(ann, list, DROP, MP_OK, "");
    fail_after(0);
    kit_pass(&kit, 5000);
    SAYS(ann, kept, LEN, "#0", ""); /* it came back */
    kit.store.fail_after = -1;
    kit_pass(&kit, 2000);
    DOES(ann, kept, LEN, MP_ENOTFOUND, "");
    fail_after(0);
    kit_pass(&kit, 3000);
    SAYS(ann, list, OPEN, "#2 ''", ""); /* and somebody has it again */
    kit.store.fail_after = -1;
    kit_pass(&kit, 60000);
    SAYS(ann, list, LEN, "#0", "");
}
END_TEST

/* ---- ranks
 * --------------------------------------------------------------------------------------- */

START_TEST(ranks_are_never_used_up)
{
    enum { MANY = 1200 };
    uint64_t list =
        make_of(ann, (making_t){.type = MP_OBJECT_LIST, .name = "l", .initial = "[1,2]"});
    kit.hold_commit = true;
    for (int i = 0; i < MANY; i++)
        (void)ask(ann, list, MPX_LIST_INSERT, 0, "ni", _i == 0 ? 1 : _i == 1 ? 0 : i / 2, i);
    kit.hold_commit = false;
    kit_drain(&kit);
    ck_assert_uint_eq(number_of(ann, ask(ann, list, MPX_LEN, 0, ""), 0), MANY + 2);
    restart(0);
    for (int i = 0; i < 50; i++)
        DOES(ann, list, LIST_INSERT, MP_OK, "ni", 1, i);
    SAYS(ann, list, LIST_GET, "49", "n", 1);
    restart(0);
}
END_TEST

/* ---- at random
 * ------------------------------------------------------------------------------------ */

static unsigned random_state;

static unsigned dice(unsigned sides)
{
    random_state = random_state * 1103515245u + 12345u;
    return (random_state >> 12) % sides;
}

static void change_map(uint64_t dict, int key)
{
    switch (dice(7)) {
    case 0:
        (void)ask(ann, dict, MPX_MAP_DEL, 0, "i", key);
        break;
    case 1:
        (void)ask(ann, dict, MPX_MAP_ADD, 0, "ii", key, 3);
        break;
    case 2:
        (void)ask(ann, dict, MPX_MAP_EXPIRE, 0, "in", key, 100000);
        break;
    case 3:
        (void)ask(ann, dict, MPX_MAP_POPITEM, 0, "");
        break;
    case 4:
        (void)ask(ann, dict, MPX_MAP_UPDATE, 0, "j", "{\"a\":1,\"b\":[2]}");
        break;
    default:
        (void)ask(ann, dict, MPX_MAP_SET, 0, "ii", key, key);
    }
}

static void change_row(uint64_t list, int index)
{
    switch (dice(8)) {
    case 0:
        (void)ask(ann, list, MPX_LIST_DEL, 0, "n", index);
        break;
    case 1:
        (void)ask(ann, list, MPX_LIST_SET_SLICE, 0, "nnnj", index, index + 2, 1, "[1,2,3]");
        break;
    case 2:
        (void)ask(ann, list, MPX_LIST_DEL_SLICE, 0, "nnn", 0, 99, 3);
        break;
    case 3:
        (void)ask(ann, list, dice(2) ? MPX_LIST_REVERSE : MPX_LIST_SORT, 0, "n", index & 1);
        break;
    case 4:
        (void)ask(ann, list, MPX_LIST_REPEAT, 0, "n", (int)dice(4) ? 1 : 0);
        break;
    default:
        (void)ask(ann, list, MPX_LIST_INSERT, 0, "ni", index, index);
    }
}

static void change_something(uint64_t dict, uint64_t list, uint64_t queue)
{
    int which = (int)dice(12);
    switch (dice(5)) {
    case 0:
        change_map(dict, which);
        break;
    case 1:
        change_row(list, which);
        break;
    case 2:
        (void)ask(ann, queue, MPX_QUEUE_PUT, 0, "i", which);
        break;
    case 3:
        (void)ask(bob, queue, MPX_QUEUE_GET, 0, "n", which % 2);
        break;
    default:
        if (which == 0)
            (void)ask(ann, dict, MPX_DELETE, 0, "");
        else
            (void)ask(ann, list, MPX_LIST_APPEND, 0, "o", queue);
    }
}

static void live_through(unsigned seed)
{
    uint64_t dict, list, queue;
    random_state = seed;
    setup();
    make_one_of_each(&dict, &list, &queue);
    for (int i = 0; i < 60; i++) {
        char *before = dump(&kit, DUMP_STORED);
        bool full = dice(8) == 0;
        kit.hold_commit = true;
        for (unsigned j = dice(5) + 1; j > 0; j--)
            change_something(dict, list, queue);
        bool changed = mpx_space_is_changed(kit.space);
        if (full && changed)
            fail_after((int)dice(2));
        kit.hold_commit = false;
        kit_drain(&kit);
        bool failed = kit.now < kit.space->refuse_until;
        if (!failed)
            fail_after(-1);
        free(before);
        if (failed)
            disk_is_well();
        if (dice(10) == 0) {
            guest_go(bob, false); /* nothing is given */
            restart(0);
            if (!mpx_object_find(kit.space, dict))
                dict = make_of(ann, (making_t){.type = MP_OBJECT_DICT, .name = "dict"});
        }
    }
    teardown();
}

#ifdef MP_SANITIZED
enum { SEEDS_PER_BLOCK = 3 };
#else
enum { SEEDS_PER_BLOCK = 30 };
#endif

START_TEST(whatever_fails_it_is_as_if_it_had_never_been)
{
    for (unsigned i = 0; i < SEEDS_PER_BLOCK; i++)
        live_through((unsigned)_i * SEEDS_PER_BLOCK + i);
}
END_TEST

/* ---- the protocol
 * --------------------------------------------------------------------------------- */

START_TEST(what_comes_again_isnt_carried_out_again)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    mpx_buf_t op = {0};
    add_operation(&op, dict, MPX_MAP_ADD, 0, "si", "n", 1);
    OK(guest_call(ann, 2, 1, mpx_buf_bytes(&op)));
    OK(guest_call(ann, 2, 1, mpx_buf_bytes(&op)));
    add_operation(&op, dict, MPX_MAP_ADD, 0, "si", "n", 1);
    OK(guest_call(ann, 2, 2, mpx_buf_bytes(&op))); /* the second one is new */
    ann->next = 4;
    SAYS(ann, dict, MAP_COPY, "{\"n\":2}", "");
    ck_assert_int_eq(guest_call(ann, 9, 1, mpx_buf_bytes(&op)), MP_EPROTO);
    ck_assert_int_eq(guest_call(ann, 5, 1, mpx_buf_bytes(&op)), MP_EPROTO);
    ck_assert_int_eq(guest_call(ann, 6, 3, mpx_buf_bytes(&op)), MP_EPROTO);
    ck_assert_int_eq(
        mpx_space_call(kit.space, kit.now, ann->tenant, 8, 0, 99, (mp_bytes_t){NULL, 0}),
        MP_EPROTO);
    mpx_buf_free(&op);
}
END_TEST

START_TEST(answers_are_sent_until_they_are_taken)
{
    uint64_t dict = make(ann, MP_OBJECT_DICT, NULL);
    ann->shy = true;
    DOES(ann, dict, MAP_SET, MP_OK, "si", "a", 1);
    uint64_t wait = ask(ann, dict, MPX_MAP_WAIT, -1, "s", "b");
    DOES(ann, dict, MAP_SET, MP_OK, "si", "c", 1);
    size_t sent = ann->sent;
    guest_detach(ann);
    DOES(bob, dict, MAP_SET, MP_OK, "si", "b", 1);
    ck_assert(!is_known(ann, wait));
    ck_assert(guest_attach(ann));
    ann->shy = false;
    guest_ping(ann); /* takes what it has, before it is sent again */
    ck_assert_uint_eq(ann->sent, sent + 1);
    OK(rc_of(ann, wait));
    guest_ping(ann);
    guest_detach(ann);
    ck_assert(guest_attach(ann));
    kit_drain(&kit);
    ck_assert_uint_eq(ann->sent, sent + 1);
}
END_TEST

START_TEST(who_doesnt_read_is_carried_out_later)
{
    kit_close(&kit);
    kit_open(&kit, (mpx_space_options_t){.answer_bytes = 1000, .operation_bytes = 20000});
    ann = kit_come(&kit, "ann");
    uint64_t dict = make(ann, MP_OBJECT_DICT, "{\"n\":0}"), last = 0;
    ann->shy = true;
    for (int i = 0; i < 200; i++)
        last = ask(ann, dict, MPX_MAP_ADD, 0, "si", "n", 1);
    ck_assert(!is_known(ann, last));
    ck_assert_uint_gt(ann->tenant->lying_count, 100);
    mpx_buf_t op = {0};
    add_operation(&op, dict, MPX_MAP_ADD, 0, "si", "n", 1);
    mp_rc_t rc = MP_OK;
    uint64_t sent = 0;
    for (; rc == MP_OK && sent < 1000; sent++)
        rc = guest_call(ann, ann->next + sent, 1, mpx_buf_bytes(&op));
    ck_assert_int_eq(rc, MP_ELIMIT);
    mpx_buf_free(&op);
    ann->next += sent - 1;
    ann->shy = false;
    for (int i = 0; i < 100; i++)
        guest_ping(ann);
    ck_assert_uint_eq(ann->tenant->lying_count, 0);
    OK(rc_of(ann, last));
    ck_assert_uint_eq(ann->next, 2 + 200 + sent - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("objects keep");
    TCase *cases = tcase_create("keep");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_was_committed_is_there_again);
    tcase_add_test(cases, what_is_given_to_somebody_is_stored);
    tcase_add_test(cases, references_to_what_is_gone_load);
    tcase_add_loop_test(cases, what_cant_be_stored_hasnt_happened, 0, 2);
    tcase_add_test(cases, queues_are_undone_as_well);
    tcase_add_test(cases, what_was_got_of_a_failed_batch_goes_back);
    tcase_add_test(cases, an_answer_that_was_stored_isnt_taken_back);
    tcase_add_test(cases, what_lingers_or_expires_on_a_full_disk_ends_later);
    tcase_add_loop_test(cases, ranks_are_never_used_up, 0, 3);
    tcase_add_test(cases, what_comes_again_isnt_carried_out_again);
    tcase_add_test(cases, answers_are_sent_until_they_are_taken);
    tcase_add_test(cases, who_doesnt_read_is_carried_out_later);
    suite_add_tcase(suite, cases);
    TCase *seeds = tcase_create("seeds");
    tcase_set_timeout(seeds, 60);
    tcase_add_loop_test(seeds, whatever_fails_it_is_as_if_it_had_never_been, 0, 10);
    suite_add_tcase(suite, seeds);
    return suite_end(suite);
}
