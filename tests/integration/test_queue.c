/* Queues, on each backend. */
#include "far_queue.h"

#include <stdatomic.h>

/* ---- items
 * ------------------------------------------------------------------------------------------ */

enum { BIG = 300000 };

static void put_all_kinds(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    unsigned char *big = malloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (unsigned char)(i * 7);
    mp_tree_t *tree = MP_DICT({"name", MP_V("ünï")}, {"list", MP_LIST(MP_V(1), MP_V(2.5))});
    OK(mp_queue_put(queue, NULL, 0, LONG_MS));
    OK(mp_queue_put(queue, "one", 3, LONG_MS));
    OK(mp_queue_put_tree(queue, tree, LONG_MS));
    OK(mp_queue_put_item(queue, MP_ITEM_MESSAGE, "\x08\x01", 2, LONG_MS));
    OK(mp_queue_put(queue, big, BIG, LONG_MS));
    IS(mp_queue_put(queue, NULL, 5, 0), MP_EINVAL);
    IS(mp_queue_put_tree(queue, NULL, 0), MP_EINVAL);
    mp_tree_destroy(&tree);
    free(big);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(every_kind_arrives_as_what_it_was)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){0});
    far_one_t other;
    far_start(&other, put_all_kinds, queue);
    char text[8];
    size_t size = 99;
    OK(mp_queue_get(queue, text, 0, &size, LONG_MS));
    ck_assert_uint_eq(size, 0);
    IS(mp_queue_get(queue, text, 2, &size, LONG_MS), MP_ETOOLARGE);
    ck_assert_uint_eq(size, 3); /* and it stays the next one */
    mp_tree_t *tree = NULL;
    IS(mp_queue_get_tree(queue, &tree, LONG_MS), MP_EINVAL);
    OK(mp_queue_get(queue, text, sizeof text, &size, LONG_MS));
    ck_assert_mem_eq(text, "one", 3);
    OK(mp_queue_get_tree(queue, &tree, LONG_MS));
    ck_assert_str_eq(mp_tree_str_or(mp_tree_get(tree, "name"), ""), "ünï");
    mp_tree_destroy(&tree);
    mp_item_t item;
    OK(mp_queue_get_item(queue, &item, LONG_MS));
    ck_assert_int_eq(item.kind, MP_ITEM_MESSAGE);
    mp_item_clear(&item);
    OK(mp_queue_get_item(queue, &item, LONG_MS));
    ck_assert_uint_eq(item.size, BIG);
    for (size_t i = 0; i < BIG; i++)
        ck_assert_uint_eq(((unsigned char *)item.data)[i], (unsigned char)(i * 7));
    mp_item_clear(&item);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

/* ---- many
 * ------------------------------------------------------------------------------------------- */

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 3000 };

typedef struct crowd {
    mp_queue_t *queue;
    atomic_int next_producer;
    atomic_int got[PRODUCERS * EACH];
    atomic_int disorder;
} crowd_t;

static void produce(void *arg)
{
    crowd_t *crowd = arg;
    mp_queue_t *queue = over_there(crowd->queue);
    uint64_t me = (uint64_t)atomic_fetch_add(&crowd->next_producer, 1);
    for (uint64_t i = 0; i < EACH; i++)
        put_number(queue, me * EACH + i);
    if (queue != crowd->queue)
        mp_queue_destroy(&queue);
}

static void consume(void *arg)
{
    crowd_t *crowd = arg;
    mp_queue_t *queue = over_there(crowd->queue);
    int64_t last[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        last[i] = -1;
    for (;;) {
        uint64_t number = get_number(queue);
        if (number == UINT64_MAX)
            break;
        atomic_fetch_add(&crowd->got[number], 1);
        if ((int64_t)number <= last[number / EACH])
            atomic_fetch_add(&crowd->disorder, 1);
        last[number / EACH] = (int64_t)number;
    }
    if (queue != crowd->queue)
        mp_queue_destroy(&queue);
}

START_TEST(many_producers_and_consumers)
{
    crowd_t *crowd = shared(sizeof *crowd);
    far_one_t others[PRODUCERS + CONSUMERS];
    static const size_t maxsizes[] = {0, 7, 2000};
    crowd->queue = new_queue((mp_queue_options_t){.maxsize = maxsizes[_i]});
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        far_start(&others[i], i < PRODUCERS ? produce : consume, crowd);
    for (int i = 0; i < PRODUCERS; i++)
        far_join(&others[i]);
    for (int i = 0; i < CONSUMERS; i++)
        put_number(crowd->queue, UINT64_MAX);
    for (int i = PRODUCERS; i < PRODUCERS + CONSUMERS; i++)
        far_join(&others[i]);
    int missing[PRODUCERS] = {0}, twice = 0;
    for (int i = 0; i < PRODUCERS * EACH; i++) {
        missing[i / EACH] += crowd->got[i] == 0;
        twice += crowd->got[i] > 1;
    }
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_msg(missing[i] == 0, "%d items of producer %d are missing", missing[i], i);
    ck_assert_int_eq(twice, 0);
    ck_assert_int_eq(crowd->disorder, 0);
    ck_assert_uint_eq(qsize(crowd->queue), 0);
    mp_queue_destroy(&crowd->queue);
}
END_TEST

/* ---- bounds
 * ----------------------------------------------------------------------------------------- */

static void fill_to_the_brim(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    bool full = false;
    for (uint64_t i = 0; i < 3; i++) /* the owner has a tenth of a second to answer */
        while (mp_queue_put_nowait(queue, &i, sizeof i) != MP_OK)
            ;
    OK(mp_queue_full(queue, &full, LONG_MS));
    ck_assert(full);
    IS(mp_queue_put_nowait(queue, "x", 1), MP_EFULL);
    int64_t begun = now_ms();
    IS(mp_queue_put(queue, "x", 1, 50), MP_EFULL);
    ck_assert_int_ge(now_ms() - begun, 50);
    ck_assert_uint_eq(qsize(queue), 3);
    ck_assert_uint_eq(get_number(queue), 0);
    put_number(queue, 3);
    ck_assert_uint_eq(qsize(queue), 3);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(maxsize_is_exact)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.maxsize = 3});
    far_one_t other;
    far_start(&other, fill_to_the_brim, queue);
    far_join(&other);
    for (uint64_t i = 1; i < 4; i++)
        ck_assert_uint_eq(get_number(queue), i);
    bool empty = false;
    OK(mp_queue_empty(queue, &empty, LONG_MS));
    ck_assert(empty);
    mp_queue_destroy(&queue);
}
END_TEST

static void put_too_much(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    char *bytes = calloc(1, 5000);
    IS(mp_queue_put(queue, bytes, 5000, LONG_MS), MP_ETOOLARGE);
    size_t count = 0;
    while (mp_queue_put(queue, bytes, 1000, 20) == MP_OK)
        count++;
    /* The queue's own 10 items, and the window's where there is one. Each has 64 bytes more. */
    ck_assert_uint_ge(count, 10);
    ck_assert_uint_le(count, 10 + 1100);
    mp_queue_stat_t stat;
    OK(mp_queue_stat(queue, &stat, LONG_MS));
    ck_assert_uint_le(stat.size, 10);
    free(bytes);
    while (mp_queue_get(queue, NULL, 0, &count, 100) != MP_EEMPTY) {
        mp_item_t item;
        OK(mp_queue_get_item(queue, &item, LONG_MS));
        mp_item_clear(&item);
    }
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(bytes_bound_too)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.max_bytes = 10640, .max_item_bytes = 4000});
    far_one_t other;
    far_start(&other, put_too_much, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

static void put_nothing(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    size_t count = qsize(queue); /* we were let in, and puts are quick from here on */
    while (mp_queue_put(queue, NULL, 0, 20) == MP_OK)
        count++;
    ck_assert_uint_ge(count, 100);
    ck_assert_uint_le(count, 100 + 1024);
    size_t size;
    for (; count; count--) {
        OK(mp_queue_get(queue, NULL, 0, &size, LONG_MS));
        ck_assert_uint_eq(size, 0);
    }
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(empty_items_are_bounded_too)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.max_bytes = 6400});
    far_one_t other;
    far_start(&other, put_nothing, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

static void hold_everything(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    mp_item_t item;
    for (int i = 0; i < 10; i++) {
        OK(mp_queue_get_item(queue, &item, LONG_MS));
        mp_item_clear(&item);
    }
    IS(mp_queue_put(queue, "x", 1, 50), far_is("owner") ? MP_EFULL : MP_OK); /* into the window */
    mp_queue_stat_t stat;
    OK(mp_queue_stat(queue, &stat, LONG_MS));
    ck_assert_uint_eq(stat.prefetched, 10);
    ck_assert_uint_eq(stat.waiting, far_is("owner") ? 0 : 1);
    OK(mp_queue_settle(queue, 10));
    OK(mp_queue_flush(queue, LONG_MS));
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(what_is_never_settled_is_bounded)
{
    enum { SIZE = 1000 };
    static char bytes[SIZE];
    mp_queue_t *queue = new_queue((mp_queue_options_t){
        .max_bytes = 10 * (SIZE + 64), .max_item_bytes = 5000, .settle_explicitly = true});
    for (int i = 0; i < 10; i++)
        OK(mp_queue_put(queue, bytes, SIZE, LONG_MS));
    IS(mp_queue_put(queue, bytes, SIZE, 20), MP_EFULL);
    far_one_t other;
    far_start(&other, hold_everything, queue);
    far_join(&other);
    OK(mp_queue_put(queue, bytes, SIZE, LONG_MS));
    mp_queue_destroy(&queue);
}
END_TEST

enum { LARGE = 100 << 20 };

static void put_large(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    char *bytes = calloc(1, LARGE);
    bytes[LARGE - 1] = 'z';
    OK(mp_queue_put(queue, bytes, LARGE, LONG_MS));
    OK(mp_queue_put(queue, bytes, LARGE - 1, LONG_MS));
    OK(mp_queue_flush(queue, LONG_MS));
    free(bytes);
    mp_item_t item;
    OK(mp_queue_get_item(queue, &item, LONG_MS));
    ck_assert_uint_eq(item.size, LARGE);
    ck_assert_int_eq(((char *)item.data)[LARGE - 1], 'z');
    mp_item_clear(&item);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

/* With a queue that takes large items. */
static void run_over_there(void (*run)(void *queue))
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.max_item_bytes = LARGE});
    far_one_t other;
    far_start(&other, run, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}

START_TEST(items_may_be_as_large_as_the_limit)
{
    run_over_there(put_large);
}
END_TEST

typedef struct idler {
    mp_queue_t *queue;
    int until[2]; /* a pipe, whose other end is closed when it may end */
} idler_t;

static void put_and_idle(void *arg)
{
    const idler_t *idler = arg;
    mp_queue_t *queue = over_there(idler->queue);
    char *bytes = calloc(1, 3000000);
    for (int i = 0; i < 4; i++)
        OK(mp_queue_put(queue, bytes, 3000000, LONG_MS));
    free(bytes);
    close(idler->until[1]);
    char byte;
    ck_assert_int_eq(read(idler->until[0], &byte, 1), 0);
    if (queue != idler->queue)
        mp_queue_destroy(&queue);
}

/* What was put travels without its producer's help, also where shared memory has no room for it. */
START_TEST(what_was_put_comes_while_its_producer_is_idle)
{
    idler_t idler = {.queue = new_queue((mp_queue_options_t){.max_item_bytes = LARGE})};
    ck_assert_int_eq(pipe(idler.until), 0);
    far_one_t other;
    far_start(&other, put_and_idle, &idler);
    for (int i = 0; i < 4; i++) {
        mp_item_t item;
        OK(mp_queue_get_item(idler.queue, &item, LONG_MS));
        ck_assert_uint_eq(item.size, 3000000);
        mp_item_clear(&item);
    }
    close(idler.until[1]);
    far_join(&other);
    close(idler.until[0]);
    mp_queue_destroy(&idler.queue);
}
END_TEST

enum { PUTS = 20 };

static atomic_int got_large;

static void *get_large(void *queue)
{
    for (int i = 0; i < PUTS; i++) {
        mp_item_t item;
        OK(mp_queue_get_item(queue, &item, LONG_MS));
        mp_item_clear(&item);
        atomic_fetch_add(&got_large, 1);
    }
    return NULL;
}

static void put_beside_a_get(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    char *bytes = calloc(1, 3000000);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, get_large, queue), 0);
    for (int i = 0; i < PUTS; i++) {
        OK(mp_queue_put(queue, bytes, 3000000, LONG_MS));
        while (atomic_load(&got_large) == i)
            usleep(100);
    }
    free(bytes);
    pthread_join(thread, NULL);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

/* The thread that waits for an item is the one that sends what another one puts. */
START_TEST(what_was_put_comes_while_another_thread_waits)
{
    run_over_there(put_beside_a_get);
}
END_TEST

static void wait_beside_a_put(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    char *bytes = calloc(1, 3000000);
    mp_waitable_t things[] = {{.queue = queue}};
    for (int i = 0; i < PUTS; i++) {
        mp_item_t item;
        IS(mp_wait(things, 1, 0, NULL), MP_ETIMEDOUT); /* the owner shall tell from now on */
        OK(mp_queue_put(queue, bytes, 3000000, LONG_MS));
        OK(mp_wait(things, 1, LONG_MS, NULL));
        OK(mp_queue_get_item(queue, &item, LONG_MS));
        mp_item_clear(&item);
    }
    free(bytes);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

/* What sends the rest of it leaves the news of what came to who waits for them. */
START_TEST(what_was_put_is_told_to_who_waits)
{
    run_over_there(wait_beside_a_put);
}
END_TEST

/* ---- waiting
 * ---------------------------------------------------------------------------------------- */

static void get_with_deadlines(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    char byte;
    size_t size;
    int quick = 0;
    IS(mp_queue_get_nowait(queue, &byte, 1, &size), MP_EEMPTY);
    int64_t begun = now_ms();
    IS(mp_queue_get(queue, &byte, 1, &size, 30), MP_EEMPTY);
    ck_assert_int_ge(now_ms() - begun, 30);
    begun = now_ms();
    IS(mp_queue_get(queue, &byte, 1, &size, 150), MP_EEMPTY);
    ck_assert_int_ge(now_ms() - begun, 150);
    for (int i = 0; i < 100; i++) {
        OK(mp_queue_put(queue, "y", 1, LONG_MS));
        OK(mp_queue_flush(queue, LONG_MS));
        if (mp_queue_get_nowait(queue, &byte, 1, &size) == MP_OK) /* what is there is got */
            quick++;
        else /* or the owner took more than a tenth of a second to answer */
            OK(mp_queue_get(queue, &byte, 1, &size, LONG_MS));
        IS(mp_queue_get_nowait(queue, &byte, 1, &size), MP_EEMPTY);
    }
    ck_assert_int_gt(quick, 50);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(a_get_ends_in_time_and_gets_what_is_there)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){0});
    far_one_t other;
    far_start(&other, get_with_deadlines, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

static void nothing(int signal)
{
    (void)signal;
}

static void wait_with_signals(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    struct sigaction action = {.sa_handler = nothing}; /* without SA_RESTART */
    sigaction(SIGALRM, &action, NULL);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &each, NULL), 0);
    char byte;
    size_t size;
    int64_t begun = now_ms();
    IS(mp_queue_get(queue, &byte, 1, &size, 200), MP_EEMPTY);
    ck_assert_int_ge(now_ms() - begun, 200);
    OK(mp_queue_put(queue, "x", 1, LONG_MS));
    IS(mp_queue_put(queue, "x", 1, 50), MP_EFULL);
    OK(mp_queue_get(queue, &byte, 1, &size, LONG_MS));
    timer_delete(timer);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(signals_end_no_wait)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.maxsize = 1});
    far_one_t other;
    far_start(&other, wait_with_signals, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

static void put_when_told(void *arg)
{
    mp_queue_t **queues = arg;
    mp_queue_t *go = over_there(queues[0]);
    mp_queue_t *queue = over_there(queues[1]);
    (void)get_number(go);
    put_number(queue, 5);
    if (queue != queues[1]) {
        mp_queue_destroy(&queue);
        mp_queue_destroy(&go);
    }
}

static void wait_for_either(void *arg)
{
    mp_queue_t **queues = arg;
    mp_queue_t *quiet = over_there(queues[2]);
    mp_queue_t *queue = over_there(queues[1]);
    mp_waitable_t things[] = {{.queue = quiet}, {.queue = queue}};
    size_t ready = 0;
    IS(mp_wait(things, 2, 30, &ready), MP_ETIMEDOUT);
    put_number(queues[0], 1);
    OK(mp_wait(things, 2, LONG_MS, &ready));
    ck_assert_uint_eq(ready, 1);
    ck_assert(!things[0].ready && things[1].ready);
    ck_assert_uint_eq(get_number(queue), 5);
    IS(mp_wait(things, 2, 30, &ready), MP_ETIMEDOUT); /* it is empty again */
    if (queue != queues[1]) {
        mp_queue_destroy(&queue);
        mp_queue_destroy(&quiet);
    }
}

START_TEST(queues_are_waited_for)
{
    mp_queue_t *queues[3];
    for (int i = 0; i < 3; i++)
        queues[i] = new_queue((mp_queue_options_t){0});
    far_one_t other;
    far_start(&other, put_when_told, queues);
    wait_for_either(queues); /* as the owner */
    far_join(&other);
    far_one_t waiter;
    far_start(&other, put_when_told, queues);
    if (!far_is("tcp")) { /* puts to queues[0] with the inherited handle */
        far_start(&waiter, wait_for_either, queues);
        far_join(&waiter);
    } else {
        put_number(queues[0], 1);
        ck_assert_uint_eq(get_number(queues[1]), 5);
    }
    far_join(&other);
    for (int i = 0; i < 3; i++)
        mp_queue_destroy(&queues[i]);
}
END_TEST

/* ---- settling
 * --------------------------------------------------------------------------------------- */

static void finish_some(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(get_number(queue), i);
        OK(mp_queue_task_done(queue));
    }
    IS(mp_queue_task_done(queue), MP_ESTATE);
    IS(mp_queue_join(queue, 30), MP_ETIMEDOUT);
    ck_assert_uint_eq(get_number(queue), 3);
    ck_assert_uint_eq(get_number(queue), 4);
    OK(mp_queue_task_done(queue));
    OK(mp_queue_task_done(queue));
    OK(mp_queue_join(queue, LONG_MS));
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(join_waits_for_all_that_is_unfinished)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.joinable = true});
    OK(mp_queue_join(queue, 0));
    for (uint64_t i = 0; i < 5; i++)
        put_number(queue, i);
    IS(mp_queue_join(queue, 0), MP_ETIMEDOUT);
    far_one_t other;
    far_start(&other, finish_some, queue);
    OK(mp_queue_join(queue, LONG_MS));
    far_join(&other);
    mp_queue_destroy(&queue);
    queue = new_queue((mp_queue_options_t){0});
    IS(mp_queue_join(queue, 0), MP_ESTATE);
    IS(mp_queue_task_done(queue), MP_ESTATE);
    IS(mp_queue_settle(queue, 0), MP_ESTATE);
    mp_queue_destroy(&queue);
}
END_TEST

static void settle_by_hand(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_uint_eq(get_number(queue), i);
    IS(mp_queue_settle(queue, 4), MP_ESTATE);
    OK(mp_queue_settle(queue, 1));
    OK(mp_queue_give_back(queue)); /* 1 and 2 */
    mp_item_t item;
    OK(mp_queue_get_item(queue, &item, LONG_MS));
    ck_assert_uint_eq(*(uint64_t *)item.data, 1);
    ck_assert(item.redelivered);
    mp_item_clear(&item);
    OK(mp_queue_settle(queue, 0));
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(items_are_settled_by_hand)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){.settle_explicitly = true});
    for (uint64_t i = 0; i < 5; i++)
        put_number(queue, i);
    far_one_t other;
    far_start(&other, settle_by_hand, queue);
    far_join(&other);
    mp_queue_stat_t stat;
    do /* until what it had prefetched is back */
        OK(mp_queue_stat(queue, &stat, LONG_MS));
    while (stat.prefetched);
    for (uint64_t i = 2; i < 5; i++)
        ck_assert_uint_eq(get_number(queue), i);
    mp_queue_destroy(&queue);
}
END_TEST

/* ---- handles
 * ---------------------------------------------------------------------------------------- */

static void answer_by_reference(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    mp_tree_t *letter = NULL;
    mp_ref_t ref;
    mp_queue_t *answers = NULL;
    mp_lock_t *lock = NULL;
    OK(mp_queue_get_tree(queue, &letter, LONG_MS));
    OK(mp_tree_as_ref(mp_tree_get(letter, "lock"), &ref));
    OK(mp_lock_open(&ref, &lock));
    OK(mp_lock_acquire(lock, LONG_MS));
    OK(mp_lock_release(lock));
    OK(mp_tree_as_ref(mp_tree_get(letter, "answers"), &ref));
    OK(mp_queue_open(&ref, &answers));
    put_number(answers, 42);
    mp_queue_destroy(&answers);
    mp_lock_destroy(&lock);
    mp_tree_destroy(&letter);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(handles_travel_as_items)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){0});
    mp_queue_t *answers = new_queue((mp_queue_options_t){0});
    mp_lock_t *lock = NULL;
    mp_ref_t of_queue, of_lock;
    OK(mp_lock_new(&lock));
    OK(mp_queue_ref(answers, &of_queue));
    mp_lock_ref(lock, &of_lock);
    mp_tree_t *letter =
        MP_DICT({"lock", mp_tree_ref(&of_lock)}, {"answers", mp_tree_ref(&of_queue)});
    OK(mp_queue_put_tree(queue, letter, LONG_MS));
    far_one_t other;
    far_start(&other, answer_by_reference, queue);
    ck_assert_uint_eq(get_number(answers), 42);
    far_join(&other);
    mp_tree_destroy(&letter);
    mp_queue_t *wrong = NULL;
    IS(mp_queue_open(&of_lock, &wrong), MP_EINVAL);
    mp_queue_destroy(&answers);
    OK(mp_queue_open(&of_queue, &wrong)); /* its owner is asked later */
    IS(mp_queue_put(wrong, "x", 1, LONG_MS), MP_ENOTFOUND);
    mp_queue_destroy(&wrong);
    mp_lock_destroy(&lock);
    mp_queue_destroy(&queue);
}
END_TEST

static void say_the_carrier(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    mp_queue_stat_t stat;
    OK(mp_queue_stat(queue, &stat, LONG_MS));
    ck_assert_str_eq(stat.carrier, far);
    ck_assert_uint_eq(stat.put, 2);
    ck_assert_uint_eq(stat.size, 2);
    if (!far_is("owner"))
        ck_assert_uint_eq(stat.peers, 1);
    if (queue != arg)
        mp_queue_destroy(&queue);
}

START_TEST(statistics_are_exact_and_name_the_carrier)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){0});
    put_number(queue, 1);
    put_number(queue, 2);
    far_one_t other;
    far_start(&other, say_the_carrier, queue);
    far_join(&other);
    mp_queue_destroy(&queue);
}
END_TEST

/* ---- refusals
 * --------------------------------------------------------------------------------------- */

START_TEST(bad_options_and_keys_are_refused)
{
    mp_queue_t *queue = NULL;
    IS(mp_queue_new(&(mp_queue_options_t){.endpoint = "tcp://*:0"}, &queue), MP_EPERM);
    IS(mp_queue_new(&(mp_queue_options_t){.endpoint = "udp://x"}, &queue), MP_EINVAL);
    IS(mp_queue_new(&(mp_queue_options_t){.max_bytes = 10, .max_item_bytes = 11}, &queue),
       MP_EINVAL);
    IS(mp_queue_new(&(mp_queue_options_t){.key_bytes = 3}, &queue), MP_EINVAL);
    IS(mp_queue_connect("tcp://127.0.0.1:1", NULL, 0, &queue), MP_EINVAL);
    IS(mp_queue_connect("tcp://127.0.0.1:1/x", NULL, 0, &queue), MP_EINVAL);
    IS(mp_queue_connect(NULL, NULL, 0, &queue), MP_EINVAL);
    OK(mp_queue_connect("tcp://127.0.0.1:1/1", NULL, 0, &queue));
    IS(mp_queue_put(queue, "x", 1, 2000), MP_ECONNECT);
    IS(mp_queue_put(queue, "x", 1, 2000), MP_ECONNECT); /* tried again */
    mp_queue_destroy(&queue);
    ck_assert_ptr_null(queue);
    mp_queue_destroy(&queue);
    mp_queue_options_t options = {
        .endpoint = "tcp://127.0.0.1:0", .key = far_key, .key_bytes = KEY_BYTES};
    mp_queue_t *own = NULL;
    OK(mp_queue_new(&options, &own));
    static const char *const wrong[] = {"secreT", NULL};
    for (int i = 0; i < 2; i++) {
        OK(mp_queue_connect(mp_queue_address(own), wrong[i], wrong[i] ? KEY_BYTES : 0, &queue));
        IS(mp_queue_put(queue, "x", 1, LONG_MS), MP_EAUTH);
        mp_queue_destroy(&queue);
    }
    OK(mp_queue_connect(mp_queue_address(own), far_key, KEY_BYTES, &queue));
    OK(mp_queue_put(queue, "x", 1, LONG_MS));
    mp_queue_destroy(&queue);
    mp_queue_destroy(&own);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2)
        far = argv[1];
    Suite *suite = suite_create(far);
    TCase *all = tcase_create(far);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, every_kind_arrives_as_what_it_was);
    tcase_add_loop_test(all, many_producers_and_consumers, 0, 3);
    tcase_add_test(all, maxsize_is_exact);
    tcase_add_test(all, bytes_bound_too);
    tcase_add_test(all, empty_items_are_bounded_too);
    tcase_add_test(all, what_is_never_settled_is_bounded);
    tcase_add_test(all, items_may_be_as_large_as_the_limit);
    tcase_add_test(all, what_was_put_comes_while_its_producer_is_idle);
    tcase_add_test(all, what_was_put_comes_while_another_thread_waits);
    tcase_add_test(all, what_was_put_is_told_to_who_waits);
    tcase_add_test(all, a_get_ends_in_time_and_gets_what_is_there);
    tcase_add_test(all, signals_end_no_wait);
    tcase_add_test(all, queues_are_waited_for);
    tcase_add_test(all, join_waits_for_all_that_is_unfinished);
    tcase_add_test(all, items_are_settled_by_hand);
    tcase_add_test(all, handles_travel_as_items);
    tcase_add_test(all, statistics_are_exact_and_name_the_carrier);
    tcase_add_test(all, bad_options_and_keys_are_refused);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
