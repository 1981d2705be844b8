/* Work for three processes by a joinable queue that the manager keeps, and the sum of what they
 * find. They may be on different hosts. What a killed worker had in hand goes to another one. */
#include <mp/mp.h>
#include <stdio.h>

enum { WORKERS = 3, JOBS = 10 };

static mp_object_t *jobs, *sum;

static int work(void *arg)
{
    (void)arg;
    for (;;) {
        mp_tree_t *job = NULL;
        if (mp_managed_queue_get(jobs, &job, -1))
            return 0; /* it was deleted: no more work */
        int64_t number = mp_tree_int_or(job, 0);
        mp_tree_destroy(&job);
        if (mp_managed_value_add(sum, number * number, NULL, -1) ||
            mp_managed_queue_task_done(jobs, -1))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    }
}

static int run(void)
{
    mp_process_t *workers[WORKERS] = {NULL};
    int64_t total;
    for (int i = 0; i < WORKERS; i++)
        if (mp_process_new(&(mp_process_options_t){.target = work}, &workers[i]) ||
            mp_process_start(workers[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 1; i <= JOBS; i++)
        if (mp_managed_queue_put(jobs, MP_V(i), 10000))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    if (mp_managed_queue_join(jobs, 10000) || mp_managed_value_add(sum, 0, &total, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("the squares up to %d add up to %lld\n", JOBS, (long long)total);
    if (mp_object_delete(jobs, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < WORKERS; i++) {
        mp_process_join(workers[i], 10000);
        mp_process_destroy(&workers[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    if ((argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                  : mp_manager_start(NULL, &manager)) ||
        mp_manager_joinable_queue(manager, NULL, 4, &jobs) ||
        mp_manager_value(manager, NULL, MP_V(0), &sum))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    int failed = run();
    mp_object_destroy(&sum);
    mp_object_destroy(&jobs);
    return failed;
}
/* prints:
the squares up to 10 add up to 385
*/
