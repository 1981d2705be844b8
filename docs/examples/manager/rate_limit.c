/* A limit on how many may do something at once, on however many hosts they are: a semaphore of 3
 * units for 8 processes. Two values measure it: how many are in, and how often that was too many. A
 * process that is killed inside gives its unit back. */
#include <mp/mp.h>
#include <stdio.h>
#include <threads.h>

enum { PROCESSES = 8, TIMES = 10, LIMIT = 3 };

static mp_object_t *limiter, *inside, *entries, *too_many;

static mp_rc_t enter(void)
{
    int64_t now;
    mp_rc_t rc = mp_managed_semaphore_acquire(limiter, -1);
    if (rc || (rc = mp_managed_value_add(inside, 1, &now, -1)) ||
        (rc = mp_managed_value_add(entries, 1, NULL, -1)) ||
        (now > LIMIT && (rc = mp_managed_value_add(too_many, 1, NULL, -1))))
        return rc;
    thrd_sleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* what is to be limited */
    if ((rc = mp_managed_value_add(inside, -1, NULL, -1)))
        return rc;
    return mp_managed_semaphore_release(limiter, -1);
}

static int work(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++)
        if (enter())
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}

static int run(void)
{
    mp_process_t *processes[PROCESSES] = {NULL};
    int64_t count, over, units;
    for (int i = 0; i < PROCESSES; i++)
        if (mp_process_new(&(mp_process_options_t){.target = work}, &processes[i]) ||
            mp_process_start(processes[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < PROCESSES; i++) {
        mp_process_join(processes[i], -1);
        mp_process_destroy(&processes[i]);
    }
    if (mp_managed_value_add(entries, 0, &count, 10000) ||
        mp_managed_value_add(too_many, 0, &over, 10000) ||
        mp_managed_semaphore_value(limiter, &units, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%lld entries, %lld of them over the limit; %lld units are free\n", (long long)count,
           (long long)over, (long long)units);
    return 0;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    if ((argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                  : mp_manager_start(NULL, &manager)) ||
        mp_manager_bounded_semaphore(manager, NULL, LIMIT, &limiter) ||
        mp_manager_value(manager, NULL, MP_V(0), &inside) ||
        mp_manager_value(manager, NULL, MP_V(0), &entries) ||
        mp_manager_value(manager, NULL, MP_V(0), &too_many))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    int failed = run();
    mp_object_destroy(&too_many);
    mp_object_destroy(&entries);
    mp_object_destroy(&inside);
    mp_object_destroy(&limiter);
    return failed;
}
/* prints:
80 entries, 0 of them over the limit; 3 units are free
*/
