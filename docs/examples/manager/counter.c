/* Four processes count to 1000 each, in two ways: one number by an addition that is one step, and
 * another by a get and a set with a lock around them. No count is lost. */
#include <mp/mp.h>
#include <stdio.h>

enum { PROCESSES = 4, TIMES = 1000 };

static mp_object_t *added, *guarded, *lock;

static mp_rc_t increment(void)
{
    MP_SCOPED(mp_tree) value = NULL;
    mp_rc_t rc = mp_managed_lock_acquire(lock, NULL, -1);
    if (rc)
        return rc;
    rc = mp_managed_value_get(guarded, &value, NULL, -1);
    if (rc == MP_OK)
        rc = mp_managed_value_set(guarded, MP_V(mp_tree_int_or(value, 0) + 1), -1);
    mp_rc_t released = mp_managed_lock_release(lock, -1);
    return rc ? rc : released;
}

static int count(void *arg)
{
    (void)arg;
    for (int i = 0; i < TIMES; i++)
        if (mp_managed_value_add(added, 1, NULL, -1) || increment())
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    return 0;
}

static int run(void)
{
    mp_process_t *processes[PROCESSES] = {NULL};
    for (int i = 0; i < PROCESSES; i++)
        if (mp_process_new(&(mp_process_options_t){.target = count}, &processes[i]) ||
            mp_process_start(processes[i]))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    for (int i = 0; i < PROCESSES; i++) {
        mp_process_join(processes[i], -1);
        mp_process_destroy(&processes[i]);
    }
    MP_SCOPED(mp_tree) one = NULL;
    MP_SCOPED(mp_tree) other = NULL;
    if (mp_managed_value_get(added, &one, NULL, 10000) ||
        mp_managed_value_get(guarded, &other, NULL, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("added: %lld\n", (long long)mp_tree_int_or(one, -1));
    printf("with a lock: %lld\n", (long long)mp_tree_int_or(other, -1));
    return 0;
}

int main(int argc, char **argv)
{
    MP_SCOPED(mp_manager) manager = NULL;
    if ((argc > 1 ? mp_manager_connect(argv[1], NULL, 0, 10000, &manager)
                  : mp_manager_start(NULL, &manager)) ||
        mp_manager_value(manager, NULL, MP_V(0), &added) ||
        mp_manager_value(manager, NULL, MP_V(0), &guarded) || mp_manager_lock(manager, NULL, &lock))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    int failed = run();
    mp_object_destroy(&lock);
    mp_object_destroy(&guarded);
    mp_object_destroy(&added);
    return failed;
}
/* prints:
added: 4000
with a lock: 4000
*/
