/* A thread that waits for a queue in mp_wait, beside one that waits for something else of it. */
#include "far_queue.h"

#include <mp/wait.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { ROUNDS = 30 };

typedef struct beside {
    mp_queue_t *queue; /* joinable */
    mp_queue_t *go;    /* asks the owner for an item */
    _Atomic pid_t waiter;
} beside_t;

static void *wait_for_item(void *arg)
{
    beside_t *self = arg;
    mp_waitable_t thing = {.queue = self->queue};
    atomic_store(&self->waiter, (pid_t)syscall(SYS_gettid));
    OK(mp_wait(&thing, 1, LONG_MS, NULL));
    return NULL;
}

/* It hears that an item has come, as it is the one that reads. */
static void *wait_for_end(void *arg)
{
    beside_t *self = arg;
    put_number(self->go, 1);
    OK(mp_queue_join(self->queue, LONG_MS));
    return NULL;
}

static bool sleeps(pid_t thread)
{
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "re");
    int got = file ? fscanf(file, "%*d (%*[^)]) %c", &state) : 0;
    if (file)
        fclose(file);
    return got == 1 && state == 'S';
}

static void wait_in_two_threads(beside_t *self)
{
    pthread_t waiter, joiner;
    atomic_store(&self->waiter, 0);
    ck_assert_int_eq(pthread_create(&waiter, NULL, wait_for_item, self), 0);
    while (!atomic_load(&self->waiter) || !sleeps(atomic_load(&self->waiter)))
        usleep(100);
    ck_assert_int_eq(pthread_create(&joiner, NULL, wait_for_end, self), 0);
    ck_assert_int_eq(pthread_join(waiter, NULL), 0);
    (void)get_number(self->queue);
    OK(mp_queue_task_done(self->queue));
    OK(mp_queue_task_done(self->queue));
    ck_assert_int_eq(pthread_join(joiner, NULL), 0);
}

/* One item is unfinished all the time, so that there is something to join. */
static void wait_over_there(void *arg)
{
    beside_t *self = arg;
    mp_queue_t *queues[2] = {self->queue, self->go};
    self->queue = over_there(queues[0]);
    self->go = over_there(queues[1]);
    for (int i = 0; i < ROUNDS; i++) {
        put_number(self->go, 0);
        (void)get_number(self->queue);
        wait_in_two_threads(self);
    }
    put_number(self->go, 2);
    OK(mp_queue_flush(self->go, LONG_MS));
    if (self->queue != queues[0]) {
        mp_queue_destroy(&self->queue);
        mp_queue_destroy(&self->go);
    }
}

START_TEST(what_another_thread_hears_is_told_to_who_waits)
{
    beside_t beside = {.queue = new_queue((mp_queue_options_t){.joinable = true}),
                       .go = new_queue((mp_queue_options_t){0})};
    far_one_t other;
    far_start(&other, wait_over_there, &beside);
    while (get_number(beside.go) != 2)
        put_number(beside.queue, 7);
    far_join(&other);
    mp_queue_destroy(&beside.queue);
    mp_queue_destroy(&beside.go);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2)
        far = argv[1];
    Suite *suite = suite_create(far);
    TCase *all = tcase_create(far);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, what_another_thread_hears_is_told_to_who_waits);
    suite_add_tcase(suite, all);
    return suite_end(suite);
}
