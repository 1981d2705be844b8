/* One leader at a time, even when the leader falls asleep. The first one is stopped for longer than
 * its lease, the second one takes over, and what the first one still wanted to write when it wakes
 * up is refused: its handle is guarded by the lock. */
#define _POSIX_C_SOURCE 200809L
#include <mp/mp.h>
#include <signal.h>
#include <stdio.h>

enum { TIMEOUT_MS = 60000 };

static mp_object_t *lock, *state, *leading;

/* The lock, and from there on no write without it. */
static int lead(const char *name)
{
    mp_rc_t rc = mp_managed_lock_acquire(lock, NULL, TIMEOUT_MS);
    if (rc && rc != MP_EOWNERDEAD)
        return fprintf(stderr, "%s: %s\n", name, mp_errmsg()), 1;
    printf("%s leads%s\n", name, rc ? ", since the leader was lost" : "");
    if (mp_object_guard(state, lock) || mp_managed_value_set(state, MP_V(name), TIMEOUT_MS))
        return fprintf(stderr, "%s: %s\n", name, mp_errmsg()), 1;
    return 0;
}

/* One that slept may have lost its connection, too, with a write on its way: then it isn't known
 * whether that was done, and as the lock guards it, it may be asked for again. */
static mp_rc_t write_late(void)
{
    mp_rc_t rc;
    do
        rc = mp_managed_value_set(state, MP_V("the first, late"), TIMEOUT_MS);
    while (rc == MP_EPEERLOST);
    return rc;
}

static int first(void *arg)
{
    (void)arg;
    if (lead("the first") || mp_managed_event_set(leading, TIMEOUT_MS))
        return 1;
    raise(SIGSTOP); /* goes on when the second one has led */
    for (int i = 0; i < 2; i++) {
        mp_rc_t rc = write_late();
        printf("the first is %s\n", rc == MP_ELEASE   ? "told that its lease ran out"
                                    : rc == MP_ESTALE ? "refused"
                                    : rc              ? mp_errmsg()
                                                      : "believed");
    }
    return 0;
}

static int second(void *arg)
{
    (void)arg;
    return lead("the second") || mp_managed_lock_release(lock, TIMEOUT_MS);
}

static int run(void)
{
    MP_SCOPED(mp_process) one = NULL;
    MP_SCOPED(mp_process) two = NULL;
    MP_SCOPED(mp_tree) value = NULL;
    mp_object_stat_t before, after;
    if (mp_process_new(&(mp_process_options_t){.target = first}, &one) || mp_process_start(one) ||
        mp_managed_event_wait(leading, TIMEOUT_MS) || mp_object_stat(lock, &before, TIMEOUT_MS) ||
        mp_process_new(&(mp_process_options_t){.target = second}, &two) || mp_process_start(two) ||
        mp_process_join(two, TIMEOUT_MS) || mp_object_stat(lock, &after, TIMEOUT_MS))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("the second token is %s\n", after.token > before.token ? "higher" : "not higher");
    kill(mp_process_pid(one), SIGCONT);
    if (mp_process_join(one, TIMEOUT_MS) || mp_managed_value_get(state, &value, NULL, TIMEOUT_MS))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("at the end: %s\n", mp_tree_str_or(value, "?"));
    return 0;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    mp_manager_options_t options = {.lease_ms = 500};
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines of several processes, in their order */
    if ((argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                  : mp_manager_start(&options, &manager)) ||
        mp_manager_lock(manager, NULL, &lock) ||
        mp_manager_value(manager, NULL, MP_V("nobody"), &state) ||
        mp_manager_event(manager, NULL, &leading))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    int failed = run();
    mp_object_destroy(&leading);
    mp_object_destroy(&state);
    mp_object_destroy(&lock);
    return failed;
}
/* prints:
the first leads
the second leads, since the leader was lost
the second token is higher
the first is told that its lease ran out
the first is refused
at the end: the second
*/
