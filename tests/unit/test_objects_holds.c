/* What is held of a manager's objects, and for how long: locks, units, events, conditions,
 * barriers, items of queues; leases, and those who don't come back. */
#include "objects_kit.h"

static kit_t kit;
static guest_t *ann, *bob, *cay;

static void setup(void)
{
    kit_open(&kit, (mpx_space_options_t){.lease_ns = 3 * MPX_S});
    ann = kit_come(&kit, "ann");
    bob = kit_come(&kit, "bob");
    cay = kit_come(&kit, "cay");
}

static void teardown(void)
{
    kit_close(&kit);
}

/* All but one live on for a lease and a bit. */
static void lease_of(const guest_t *silent)
{
    for (int i = 0; i < 4; i++) {
        kit_pass(&kit, 1000);
        for (size_t j = 0; j < kit.guests_count; j++)
            if (kit.guests[j].tenant && &kit.guests[j] != silent)
                guest_ping(&kit.guests[j]);
    }
}

static uint64_t acquire(guest_t *guest, uint64_t lock)
{
    uint64_t number = ask(guest, lock, MPX_LOCK_ACQUIRE, -1, "n", 1);
    return number;
}

/* ---- locks ----------------------------------------------------------------------------------- */

START_TEST(locks_are_given_in_turn_and_tokens_rise)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    uint64_t a = acquire(ann, lock), b = acquire(bob, lock), c = acquire(cay, lock);
    OK(rc_of(ann, a));
    ck_assert(!is_known(bob, b) && !is_known(cay, c));
    DOES(ann, lock, LOCK_ACQUIRE, MP_EDEADLOCK, "n", 1);
    DOES(ann, lock, LOCK_ACQUIRE, MP_ETIMEDOUT, "n", 2); /* another thread */
    DOES(bob, lock, LOCK_RELEASE, MP_ENOTOWNER, "n", 1);
    DOES(ann, lock, LOCK_RELEASE, MP_ENOTOWNER, "n", 2);
    SAYS(ann, lock, LOCK_LOCKED, "#1", "");
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(bob, b));
    ck_assert(!is_known(cay, c));
    DOES(bob, lock, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(cay, c));
    ck_assert_uint_gt(number_of(bob, b, 0), number_of(ann, a, 0));
    ck_assert_uint_gt(number_of(cay, c, 0), number_of(bob, b, 0));
    DOES(cay, lock, LOCK_RELEASE, MP_OK, "n", 1);
    DOES(cay, lock, LOCK_RELEASE, MP_ENOTOWNER, "n", 1);
    SAYS(ann, lock, LOCK_LOCKED, "#0", "");
}
END_TEST

START_TEST(an_rlock_counts)
{
    uint64_t lock = make(ann, MP_OBJECT_RLOCK, NULL);
    uint64_t first = acquire(ann, lock), second = acquire(ann, lock), b = acquire(bob, lock);
    ck_assert_uint_eq(number_of(ann, first, 0), number_of(ann, second, 0));
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    ck_assert(!is_known(bob, b));
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(bob, b));
}
END_TEST

START_TEST(waits_end_in_time_or_when_cancelled)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    OK(rc_of(ann, acquire(ann, lock)));
    uint64_t b = ask(bob, lock, MPX_LOCK_ACQUIRE, 500, "n", 1), c = acquire(cay, lock);
    kit_pass(&kit, 499);
    ck_assert(!is_known(bob, b));
    kit_pass(&kit, 1);
    ck_assert_int_eq(rc_of(bob, b), MP_ETIMEDOUT);
    DOES(cay, 0, CANCEL, MP_OK, "N", c);
    ck_assert_int_eq(rc_of(cay, c), MP_ETIMEDOUT);
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    SAYS(ann, lock, LOCK_LOCKED, "#0", "");
}
END_TEST

START_TEST(a_silent_holder_loses_its_lock)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL), dict = make(bob, MP_OBJECT_DICT, NULL);
    uint64_t a = acquire(ann, lock), token = number_of(ann, a, 0);
    uint64_t g = ask_guarded(ann, dict, MPX_MAP_SET, lock, token, "si", "k", 1);
    OK(rc_of(ann, g));
    uint64_t b = acquire(bob, lock);
    lease_of(ann);
    ck_assert_int_eq(ann->over, MP_ELEASE);
    ck_assert_int_eq(rc_of(bob, b), MP_EOWNERDEAD);
    ck_assert_uint_gt(number_of(bob, b, 0), token);
    guest_t *again = kit_come(&kit, "ann again");
    g = ask_guarded(again, dict, MPX_MAP_SET, lock, token, "si", "k", 2);
    ck_assert_int_eq(rc_of(again, g), MP_ESTALE);
    g = ask_guarded(again, dict, MPX_MAP_GET, lock, token, "s", "k"); /* looking is free */
    OK(rc_of(again, g));
    g = ask_guarded(bob, dict, MPX_MAP_SET, lock, number_of(bob, b, 0), "si", "k", 3);
    OK(rc_of(bob, g));
    DOES(bob, lock, LOCK_RELEASE, MP_OK, "n", 1);
    g = ask_guarded(bob, dict, MPX_MAP_SET, lock, number_of(bob, b, 0), "si", "k", 4);
    ck_assert_int_eq(rc_of(bob, g), MP_ESTALE);
    OK(rc_of(cay, acquire(cay, lock))); /* told once */
    SAYS(bob, dict, MAP_COPY, "{\"k\":3}", "");
}
END_TEST

START_TEST(a_guard_counts_when_the_wait_is_over)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    uint64_t full = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .max_items = 1});
    uint64_t empty = make(ann, MP_OBJECT_QUEUE, NULL);
    uint64_t token = number_of(ann, acquire(ann, lock), 0);
    DOES(cay, full, QUEUE_PUT, MP_OK, "i", 1);
    uint64_t put = ask_guarded(bob, full, MPX_QUEUE_PUT, lock, token, "i", 2);
    ck_assert_int_eq(rc_of(bob, put), MP_EFULL);
    put = wait_guarded(bob, full, MPX_QUEUE_PUT, lock, token, "i", 2);
    uint64_t get = wait_guarded(bob, empty, MPX_QUEUE_GET, lock, token, "n", 1);
    ck_assert(!is_known(bob, put) && !is_known(bob, get));
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    SAYS(cay, full, QUEUE_GET, "1 #0", "n", 1);
    ck_assert_int_eq(rc_of(bob, put), MP_ESTALE);
    SAYS(cay, full, LEN, "#0", "");
    DOES(cay, empty, QUEUE_PUT, MP_OK, "i", 3);
    ck_assert_int_eq(rc_of(bob, get), MP_ESTALE);
    get = ask_guarded(bob, empty, MPX_QUEUE_GET, lock, token, "n", 1);
    ck_assert_int_eq(rc_of(bob, get), MP_ESTALE);
    SAYS(cay, empty, QUEUE_GET, "3 #0", "n", 1);
}
END_TEST

START_TEST(late_news_of_a_lost_connection_is_no_second_lease)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    OK(rc_of(ann, acquire(ann, lock)));
    uint64_t b = acquire(bob, lock);
    kit_pass(&kit, 2000);
    guest_ping(bob);
    guest_detach(ann);
    kit_pass(&kit, 999);
    ck_assert(!is_known(bob, b));
    kit_pass(&kit, 1);
    ck_assert_int_eq(rc_of(bob, b), MP_EOWNERDEAD);
    ck_assert(!guest_attach(ann));
}
END_TEST

START_TEST(who_has_nothing_at_stake_may_be_silent)
{
    lease_of(ann);
    lease_of(ann);
    ck_assert_int_eq(ann->over, MP_OK);
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    OK(rc_of(ann, acquire(ann, lock)));
    lease_of(NULL);
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
}
END_TEST

START_TEST(a_lost_connection_comes_back_within_the_lease)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL), list = make(ann, MP_OBJECT_LIST, NULL);
    OK(rc_of(ann, acquire(ann, lock)));
    guest_detach(ann);
    kit_pass(&kit, 2999);
    ck_assert(guest_attach(ann));
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(ann, acquire(ann, lock)));
    uint64_t b = acquire(bob, lock);
    guest_detach(ann);
    lease_of(NULL);
    ck_assert(!guest_attach(ann));
    ck_assert_int_eq(rc_of(bob, b), MP_EOWNERDEAD);
    SAYS(bob, list, LEN, "#0", ""); /* it lingers */
    uint64_t c = acquire(cay, lock);
    guest_go(bob, true);
    ck_assert_int_eq(rc_of(cay, c), MP_EOWNERDEAD);
}
END_TEST

START_TEST(over_and_then_detached_leaves_nothing)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    OK(rc_of(ann, acquire(ann, lock)));
    kit.now += 4 * MPX_S;
    mpx_space_tick(kit.space, kit.now);
    mpx_space_detach(kit.space, kit.now, ann->tenant); /* before it is told */
    ann->tenant = NULL;
    kit_drain(&kit);
    ck_assert_int_eq(ann->over, MP_OK);
    ck_assert(!guest_attach(ann));
}
END_TEST

/* ---- semaphores, events ------------------------------------------------------------------------
 */

START_TEST(units_are_given_in_turn_and_come_back)
{
    uint64_t units = make_of(ann, (making_t){.type = MP_OBJECT_BOUNDED_SEMAPHORE, .value = 2});
    DOES(ann, units, UNIT_ACQUIRE, MP_OK, "");
    DOES(ann, units, UNIT_ACQUIRE, MP_OK, "");
    DOES(ann, units, UNIT_ACQUIRE, MP_ETIMEDOUT, "");
    uint64_t b = ask(bob, units, MPX_UNIT_ACQUIRE, -1, "");
    uint64_t c = ask(cay, units, MPX_UNIT_ACQUIRE, -1, "");
    DOES(ann, units, UNIT_RELEASE, MP_OK, "");
    OK(rc_of(bob, b));
    ck_assert(!is_known(cay, c));
    lease_of(ann);
    OK(rc_of(cay, c));
    DOES(cay, units, UNIT_RELEASE, MP_OK, "");
    DOES(cay, units, UNIT_RELEASE, MP_OK, ""); /* bob's */
    DOES(cay, units, UNIT_RELEASE, MP_ERANGE, "");
    uint64_t free_one = make_of(bob, (making_t){.type = MP_OBJECT_SEMAPHORE, .value = 0});
    b = ask(bob, free_one, MPX_UNIT_ACQUIRE, -1, "");
    DOES(cay, free_one, UNIT_RELEASE, MP_OK, "");
    OK(rc_of(bob, b));
    ck_assert_uint_eq(number_of(bob, ask(bob, free_one, MPX_STAT, 0, ""), 5), 1);
}
END_TEST

START_TEST(an_event_that_is_cleared_at_once_was_set)
{
    uint64_t event = make(ann, MP_OBJECT_EVENT, NULL);
    uint64_t b = ask(bob, event, MPX_EVENT_WAIT, -1, ""),
             c = ask(cay, event, MPX_EVENT_WAIT, 9, "");
    DOES(ann, event, EVENT_WAIT, MP_ETIMEDOUT, "");
    kit_pass(&kit, 9);
    ck_assert_int_eq(rc_of(cay, c), MP_ETIMEDOUT);
    mpx_buf_t both = {0};
    add_operation(&both, event, MPX_EVENT_SET, 0, "");
    add_operation(&both, event, MPX_EVENT_CLEAR, 0, "");
    OK(guest_call(ann, ann->next, 2, mpx_buf_bytes(&both)));
    ann->next += 2;
    mpx_buf_free(&both);
    OK(rc_of(bob, b));
    SAYS(ann, event, EVENT_IS_SET, "#0", "");
    DOES(ann, event, EVENT_SET, MP_OK, "");
    DOES(bob, event, EVENT_WAIT, MP_OK, "");
    SAYS(ann, event, EVENT_IS_SET, "#1", "");
}
END_TEST

/* ---- conditions ---------------------------------------------------------------------------------
 */

START_TEST(a_condition_wakes_in_order)
{
    uint64_t condition = make(ann, MP_OBJECT_CONDITION, NULL);
    guest_t *all[] = {ann, bob, cay};
    uint64_t waits[3];
    for (int i = 0; i < 3; i++) {
        OK(rc_of(all[i], acquire(all[i], condition)));
        waits[i] = ask(all[i], condition, MPX_CONDITION_WAIT, -1, "n", 1);
    }
    guest_t *dan = kit_come(&kit, "dan");
    DOES(dan, condition, CONDITION_NOTIFY, MP_ENOTOWNER, "nn", 1, 1);
    DOES(dan, condition, CONDITION_WAIT, MP_ENOTOWNER, "n", 1);
    OK(rc_of(dan, acquire(dan, condition)));
    DOES(dan, condition, CONDITION_NOTIFY, MP_OK, "nn", 1, 2);
    ck_assert(!is_known(ann, waits[0])); /* dan has the lock */
    DOES(dan, condition, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(ann, waits[0]));
    ck_assert(!is_known(bob, waits[1]));
    DOES(ann, condition, LOCK_RELEASE, MP_OK, "n", 1);
    OK(rc_of(bob, waits[1]));
    ck_assert_uint_gt(number_of(bob, waits[1], 0), number_of(ann, waits[0], 0));
    DOES(bob, condition, LOCK_RELEASE, MP_OK, "n", 1);
    ck_assert(!is_known(cay, waits[2]));
    SAYS(ann, condition, LOCK_LOCKED, "#0", "");
}
END_TEST

START_TEST(a_condition_gives_the_lock_back_whatever_happens)
{
    uint64_t lock = make(ann, MP_OBJECT_RLOCK, NULL);
    uint64_t condition = make_of(ann, (making_t){.type = MP_OBJECT_CONDITION, .lock = lock});
    OK(rc_of(ann, acquire(ann, lock)));
    OK(rc_of(ann, acquire(ann, condition))); /* twice */
    uint64_t wait = ask(ann, condition, MPX_CONDITION_WAIT, 100, "n", 1);
    OK(rc_of(bob, acquire(bob, lock)));
    kit_pass(&kit, 200);
    ck_assert(!is_known(ann, wait)); /* until bob is done */
    lease_of(bob);
    ck_assert_int_eq(rc_of(ann, wait), MP_EOWNERDEAD);
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    DOES(ann, lock, LOCK_RELEASE, MP_OK, "n", 1);
    DOES(ann, lock, LOCK_RELEASE, MP_ENOTOWNER, "n", 1);
    uint64_t token = number_of(ann, acquire(ann, lock), 0);
    wait = ask(ann, condition, MPX_CONDITION_WAIT, 0, "n", 1); /* lets others, and comes back */
    OK(rc_of(ann, wait));
    ck_assert_uint_eq(number_of(ann, wait, 1), 1);
    ck_assert_uint_gt(number_of(ann, wait, 0), token);
    wait = ask(ann, condition, MPX_CONDITION_WAIT, -1, "n", 1);
    DOES(ann, 0, CANCEL, MP_OK, "N", wait);
    OK(rc_of(ann, wait));
    ck_assert_uint_eq(number_of(ann, wait, 1), 1);
}
END_TEST

START_TEST(a_condition_ends_with_its_lock)
{
    uint64_t lock = make(ann, MP_OBJECT_LOCK, NULL);
    uint64_t condition = make_of(ann, (making_t){.type = MP_OBJECT_CONDITION, .lock = lock});
    uint64_t other = make_of(ann, (making_t){.type = MP_OBJECT_CONDITION, .lock = lock});
    OK(rc_of(ann, acquire(ann, lock)));
    uint64_t wait = ask(ann, condition, MPX_CONDITION_WAIT, -1, "n", 1);
    OK(rc_of(bob, acquire(bob, condition)));
    DOES(cay, other, DELETE, MP_OK, "");
    DOES(cay, lock, DELETE, MP_OK, "");
    ck_assert_int_eq(rc_of(ann, wait), MP_ENOTFOUND);
    DOES(bob, condition, LOCK_RELEASE, MP_ENOTFOUND, "n", 1);
    DOES(bob, condition, LOCK_ACQUIRE, MP_ENOTFOUND, "n", 1);
    uint64_t own = make(ann, MP_OBJECT_CONDITION, NULL);
    OK(rc_of(ann, acquire(ann, own)));
    DOES(ann, own, DELETE, MP_OK, ""); /* and its lock, which nobody has, in its time */
    DOES(ann, own, DROP, MP_ENOTFOUND, "");
    kit.now += 10 * MPX_S;
    mpx_space_tick(kit.space, kit.now);
    mpx_space_tick(kit.space, kit.now + 11 * MPX_S);
    mpx_space_counts_t counts;
    mpx_space_count(kit.space, &counts);
    ck_assert_uint_eq(counts.objects, 0);
}
END_TEST

/* ---- barriers -----------------------------------------------------------------------------------
 */

static uint64_t at_barrier(guest_t *guest, uint64_t barrier, int wait_ms)
{
    return ask(guest, barrier, MPX_BARRIER_WAIT, wait_ms, "");
}

START_TEST(a_barrier_opens_or_breaks)
{
    uint64_t barrier = make_of(ann, (making_t){.type = MP_OBJECT_BARRIER, .value = 3});
    uint64_t a = at_barrier(ann, barrier, -1), b = at_barrier(bob, barrier, 100);
    SAYS(ann, barrier, BARRIER_STAT, "#3 #2 #0", "");
    uint64_t c = at_barrier(cay, barrier, 0);
    ck_assert_uint_eq(number_of(ann, a, 0), 0);
    ck_assert_uint_eq(number_of(bob, b, 0), 1);
    ck_assert_uint_eq(number_of(cay, c, 0), 2);
    a = at_barrier(ann, barrier, -1), b = at_barrier(bob, barrier, 100);
    kit_pass(&kit, 100);
    ck_assert_int_eq(rc_of(bob, b), MP_ETIMEDOUT);
    ck_assert_int_eq(rc_of(ann, a), MP_EBROKEN);
    DOES(cay, barrier, BARRIER_WAIT, MP_EBROKEN, "");
    SAYS(ann, barrier, BARRIER_STAT, "#3 #0 #1", "");
    DOES(ann, barrier, BARRIER_RESET, MP_OK, "");
    a = at_barrier(ann, barrier, -1);
    DOES(cay, barrier, BARRIER_ABORT, MP_OK, "");
    ck_assert_int_eq(rc_of(ann, a), MP_EBROKEN);
    DOES(ann, barrier, BARRIER_RESET, MP_OK, "");
    a = at_barrier(ann, barrier, -1);
    DOES(cay, barrier, BARRIER_RESET, MP_OK, ""); /* also lets go who waits */
    ck_assert_int_eq(rc_of(ann, a), MP_EBROKEN);
    a = at_barrier(ann, barrier, -1), b = at_barrier(bob, barrier, -1);
    lease_of(bob);
    ck_assert_int_eq(rc_of(ann, a), MP_EBROKEN);
    DOES(cay, barrier, BARRIER_RESET, MP_OK, "");
    a = at_barrier(ann, barrier, -1);
    DOES(cay, barrier, BARRIER_WAIT, MP_ETIMEDOUT,
         ""); /* wouldn't wait: as if its time had passed */
    ck_assert_int_eq(rc_of(ann, a), MP_EBROKEN);
}
END_TEST

/* ---- queues -------------------------------------------------------------------------------------
 */

START_TEST(a_queue_passes_on_in_order)
{
    uint64_t queue = make_of(ann, (making_t){.type = MP_OBJECT_QUEUE, .max_items = 2});
    uint64_t b = ask(bob, queue, MPX_QUEUE_GET, -1, "n", 1);
    uint64_t c = ask(cay, queue, MPX_QUEUE_GET, 100, "n", 1);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    ck_assert_str_eq(line_of(bob, b), "1 #0");
    kit_pass(&kit, 100);
    ck_assert_int_eq(rc_of(cay, c), MP_EEMPTY);
    DOES(cay, queue, QUEUE_GET, MP_EEMPTY, "n", 1);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 2);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 3);
    DOES(ann, queue, QUEUE_PUT, MP_EFULL, "i", 4);
    uint64_t p = ask(ann, queue, MPX_QUEUE_PUT, 100, "i", 5);
    uint64_t q = ask(ann, queue, MPX_QUEUE_PUT, -1, "i", 6);
    kit_pass(&kit, 100);
    ck_assert_int_eq(rc_of(ann, p), MP_EFULL);
    SAYS(cay, queue, QUEUE_GET, "2 #0", "n", 1);
    OK(rc_of(ann, q));
    SAYS(cay, queue, QUEUE_GET, "3 #0", "n", 1);
    SAYS(cay, queue, QUEUE_GET, "6 #0", "n", 1);
    SAYS(cay, queue, LEN, "#0", "");
}
END_TEST

START_TEST(what_a_dead_consumer_had_comes_again_in_order)
{
    uint64_t queue = make(ann, MP_OBJECT_QUEUE, NULL);
    for (int i = 1; i <= 3; i++)
        DOES(ann, queue, QUEUE_PUT, MP_OK, "i", i);
    SAYS(bob, queue, QUEUE_GET, "1 #0", "n", 1);
    SAYS(bob, queue, QUEUE_GET, "2 #0", "n", 2); /* another thread: 1 isn't finished by it */
    SAYS(cay, queue, QUEUE_GET, "3 #0", "n", 1);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 4); /* its place is behind those that are given */
    lease_of(bob);
    SAYS(ann, queue, QUEUE_GET, "1 #1", "n", 1);
    guest_go(cay, false);
    SAYS(ann, queue, QUEUE_GET, "2 #1", "n", 1); /* finishes 1 */
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 5);
    SAYS(ann, queue, QUEUE_GET, "3 #1", "n", 1);
    guest_go(ann, true); /* it is done with 3 */
    guest_t *dan = kit_come(&kit, "dan");
    SAYS(dan, queue, QUEUE_GET, "4 #0", "n", 1);
    SAYS(dan, queue, QUEUE_GET, "5 #0", "n", 1);
    DOES(dan, queue, QUEUE_GET, MP_EEMPTY, "n", 1);
}
END_TEST

START_TEST(a_joinable_queue_is_done_when_all_is_finished)
{
    uint64_t queue = make(ann, MP_OBJECT_JOINABLE_QUEUE, NULL);
    DOES(ann, queue, QUEUE_JOIN, MP_OK, "");
    DOES(ann, queue, QUEUE_DONE, MP_ESTATE, "");
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 2);
    uint64_t join = ask(ann, queue, MPX_QUEUE_JOIN, -1, "");
    SAYS(bob, queue, QUEUE_GET, "1 #0", "n", 1);
    SAYS(bob, queue, QUEUE_GET, "2 #0", "n", 1);
    DOES(bob, queue, QUEUE_DONE, MP_OK, "");
    ck_assert(!is_known(ann, join));
    guest_go(bob, true); /* a joinable queue's item isn't finished by that */
    uint64_t get = ask(cay, queue, MPX_QUEUE_GET, 0, "n", 1);
    ck_assert_str_eq(line_of(cay, get), "2 #1");
    DOES(cay, queue, QUEUE_RETURN, MP_OK, "N", get);
    ck_assert(!is_known(ann, join));
    SAYS(cay, queue, QUEUE_GET, "2 #1", "n", 1);
    DOES(cay, queue, QUEUE_DONE, MP_OK, "");
    OK(rc_of(ann, join));
}
END_TEST

START_TEST(what_nobody_took_is_given_as_new)
{
    uint64_t queue = make(ann, MP_OBJECT_QUEUE, NULL);
    DOES(ann, queue, QUEUE_PUT, MP_OK, "i", 1);
    uint64_t get = ask(bob, queue, MPX_QUEUE_GET, 0, "n", 1);
    DOES(bob, make(bob, MP_OBJECT_QUEUE, NULL), QUEUE_RETURN, MP_OK, "N", get); /* another's */
    DOES(cay, queue, QUEUE_GET, MP_EEMPTY, "n", 1);
    DOES(bob, queue, QUEUE_RETURN, MP_OK, "N", get);
    SAYS(cay, queue, QUEUE_GET, "1 #0", "n", 1);
    DOES(ann, queue, DELETE, MP_OK, "");
    guest_go(cay, true);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {locks_are_given_in_turn_and_tokens_rise,
                                  an_rlock_counts,
                                  waits_end_in_time_or_when_cancelled,
                                  a_silent_holder_loses_its_lock,
                                  a_guard_counts_when_the_wait_is_over,
                                  late_news_of_a_lost_connection_is_no_second_lease,
                                  who_has_nothing_at_stake_may_be_silent,
                                  a_lost_connection_comes_back_within_the_lease,
                                  over_and_then_detached_leaves_nothing,
                                  units_are_given_in_turn_and_come_back,
                                  an_event_that_is_cleared_at_once_was_set,
                                  a_condition_wakes_in_order,
                                  a_condition_gives_the_lock_back_whatever_happens,
                                  a_condition_ends_with_its_lock,
                                  a_barrier_opens_or_breaks,
                                  a_queue_passes_on_in_order,
                                  what_a_dead_consumer_had_comes_again_in_order,
                                  a_joinable_queue_is_done_when_all_is_finished,
                                  what_nobody_took_is_given_as_new};
    Suite *suite = suite_create("objects holds");
    TCase *cases = tcase_create("holds");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 30);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    return suite_end(suite);
}
