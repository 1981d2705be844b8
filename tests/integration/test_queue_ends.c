/* Queues whose users and owners leave, die and stop, on each backend. */
#include "far_queue.h"

#include <stdatomic.h>

/* Who must leave a child that has copies of everything, and lives on when its parent is killed:
 * until the test, the last to have the writing end, has ended. */
static bool with_child;
static int lifeline[2];

static void leave_a_child(void)
{
    char byte;
    pid_t pid = with_child ? far_fork() : 1;
    ck_assert_int_ge(pid, 0);
    if (pid)
        return;
    close(lifeline[1]);
    (void)!read(lifeline[0], &byte, 1);
    _exit(0);
}

static void choose_child(bool with)
{
    with_child = with;
    ck_assert_int_eq(pipe(lifeline), 0);
}

static void hold_one_and_stay(void *arg)
{
    mp_queue_t **queues = arg;
    mp_queue_t *queue = over_there(queues[0]);
    mp_queue_t *told = over_there(queues[1]);
    uint64_t number = get_number(queue);
    leave_a_child();
    put_number(told, number);
    OK(mp_queue_flush(told, LONG_MS));
    for (;;)
        pause();
}

START_TEST(what_a_killed_consumer_had_comes_again)
{
    if (far_is("owner"))
        return; /* its threads don't die alone */
    bool joinable = _i & 1;
    choose_child(_i & 2);
    mp_queue_t *queues[2];
    queues[0] = new_queue((mp_queue_options_t){.joinable = joinable});
    queues[1] = new_queue((mp_queue_options_t){0});
    for (uint64_t i = 0; i < 3; i++)
        put_number(queues[0], i);
    far_one_t other;
    far_start(&other, hold_one_and_stay, queues);
    ck_assert_uint_eq(get_number(queues[1]), 0);
    far_kill(&other);
    mp_item_t item;
    bool seen[3] = {false};
    if (joinable)
        IS(mp_queue_join(queues[0], 0), MP_ETIMEDOUT);
    for (int i = 0; i < 3; i++) { /* the first one when its end is known, at once or later */
        OK(mp_queue_get_item(queues[0], &item, LONG_MS));
        uint64_t number = *(uint64_t *)item.data;
        ck_assert(number < 3 && !seen[number]);
        ck_assert(item.redelivered == (number == 0));
        seen[number] = true;
        mp_item_clear(&item);
        if (joinable)
            OK(mp_queue_task_done(queues[0]));
    }
    if (joinable)
        OK(mp_queue_join(queues[0], LONG_MS));
    mp_queue_destroy(&queues[0]);
    mp_queue_destroy(&queues[1]);
}
END_TEST

static void put_and_exit(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    for (uint64_t i = 0; i < 100; i++)
        put_number(queue, i);
    if (far_is("owner"))
        return;
    OK(mp_queue_close(queue, LONG_MS));
    OK(mp_queue_close(queue, LONG_MS));
    IS(mp_queue_put(queue, "x", 1, 0), MP_ECLOSED);
    char byte;
    size_t size;
    IS(mp_queue_get(queue, &byte, 1, &size, 0), MP_ECLOSED);
}

static void put_without_a_word(void *arg)
{
    mp_queue_t *queue = over_there(arg);
    for (uint64_t i = 0; i < 100; i++)
        put_number(queue, i);
}

START_TEST(a_producer_may_leave_at_once)
{
    mp_queue_t *queue = new_queue((mp_queue_options_t){0});
    far_one_t other;
    far_start(&other, _i ? put_and_exit : put_without_a_word, queue);
    far_join(&other);
    for (uint64_t i = 0; i < 100; i++)
        ck_assert_uint_eq(get_number(queue), i);
    mp_queue_destroy(&queue);
}
END_TEST

static void wait_for_the_end(void *arg)
{
    mp_queue_t **queues = arg;
    mp_queue_t *queue = over_there(queues[0]);
    mp_queue_t *told = over_there(queues[1]);
    char byte;
    size_t size;
    mp_queue_stat_t stat;
    OK(mp_queue_stat(queue, &stat, LONG_MS));
    put_number(told, 1);
    IS(mp_queue_get(queue, &byte, 1, &size, LONG_MS), MP_ECLOSED);
    if (far_is("owner"))
        return; /* the handle is gone with the queue */
    IS(mp_queue_put(queue, &byte, 1, LONG_MS), MP_ECLOSED);
}

START_TEST(destroying_it_ends_every_wait)
{
    if (far_is("owner"))
        return; /* a handle isn't destroyed under its users */
    mp_queue_t *queues[2];
    for (int i = 0; i < 2; i++)
        queues[i] = new_queue((mp_queue_options_t){0});
    far_one_t other;
    far_start(&other, wait_for_the_end, queues);
    (void)get_number(queues[1]);
    mp_queue_destroy(&queues[0]);
    far_join(&other);
    mp_queue_destroy(&queues[1]);
}
END_TEST

static void stop(pid_t pid)
{
    int status = 0;
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
}

/* What the owner tells about itself before it is killed. */
typedef struct owner_note {
    mp_ref_t ref;
    char address[128];
    atomic_int ready;
} owner_note_t;

static pid_t fork_owner(owner_note_t *note, size_t maxsize)
{
    pid_t pid = far_fork();
    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    mp_queue_t *queue = new_queue((mp_queue_options_t){.maxsize = maxsize});
    OK(mp_queue_ref(queue, &note->ref));
    if (mp_queue_address(queue))
        snprintf(note->address, sizeof note->address, "%s", mp_queue_address(queue));
    leave_a_child();
    atomic_store(&note->ready, 1);
    for (;;)
        pause();
}

static mp_queue_t *open_of(owner_note_t *note)
{
    mp_queue_t *queue = NULL;
    while (!atomic_load(&note->ready))
        usleep(1000);
    if (far_is("tcp"))
        OK(mp_queue_connect(note->address, far_key, KEY_BYTES, &queue));
    else
        OK(mp_queue_open(&note->ref, &queue));
    return queue;
}

START_TEST(a_killed_owner_is_told_and_items_handed_back)
{
    if (far_is("owner"))
        return;
    choose_child(_i == 1);
    owner_note_t *note = shared(sizeof *note);
    pid_t pid = fork_owner(note, 0);
    mp_queue_t *queue = open_of(note);
    put_number(queue, 0);
    OK(mp_queue_flush(queue, LONG_MS));
    mp_item_t item;
    IS(mp_queue_unacknowledged(queue, &item), MP_ESTATE);
    stop(pid);
    for (uint64_t i = 1; i < 4; i++)
        put_number(queue, i); /* into the window */
    char byte;
    size_t size;
    int64_t begun = now_ms();
    IS(mp_queue_get(queue, &byte, 1, &size, 100), MP_EEMPTY);
    IS(mp_queue_flush(queue, 50), MP_ETIMEDOUT);
    ck_assert_int_lt(now_ms() - begun, 5000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    begun = now_ms();
    IS(mp_queue_get(queue, &byte, 1, &size, LONG_MS), MP_EPEERLOST);
    ck_assert_int_lt(now_ms() - begun, 5000);
    IS(mp_queue_put(queue, &byte, 1, LONG_MS), MP_EPEERLOST);
    for (uint64_t i = 1; i < 4; i++) {
        OK(mp_queue_unacknowledged(queue, &item));
        ck_assert_uint_eq(*(uint64_t *)item.data, i);
        mp_item_clear(&item);
    }
    IS(mp_queue_unacknowledged(queue, &item), MP_EEMPTY);
    mp_queue_destroy(&queue);
}
END_TEST

START_TEST(a_stopped_owner_keeps_nobody_waiting)
{
    if (far_is("owner"))
        return;
    owner_note_t *note = shared(sizeof *note);
    pid_t pid = fork_owner(note, 2);
    mp_queue_t *queue = open_of(note);
    put_number(queue, 0);
    stop(pid);
    int64_t begun = now_ms();
    IS(mp_queue_put(queue, "x", 1, 50), MP_EFULL);
    IS(mp_queue_put_nowait(queue, "x", 1), MP_EFULL);
    size_t size;
    IS(mp_queue_qsize(queue, &size, 50), MP_ETIMEDOUT);
    ck_assert_int_lt(now_ms() - begun, 5000);
    kill(pid, SIGCONT);
    put_number(queue, 1); /* the place that was given up is free */
    ck_assert_uint_eq(get_number(queue), 0);
    ck_assert_uint_eq(get_number(queue), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    mp_queue_destroy(&queue);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2)
        far = argv[1];
    Suite *suite = suite_create(far);
    TCase *all = tcase_create(far);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, what_a_killed_consumer_had_comes_again, 0, 4);
    tcase_add_loop_test(all, a_producer_may_leave_at_once, 0, 2);
    tcase_add_test(all, destroying_it_ends_every_wait);
    tcase_add_loop_test(all, a_killed_owner_is_told_and_items_handed_back, 0, 2);
    tcase_add_test(all, a_stopped_owner_keeps_nobody_waiting);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
