/* Calls that go on in the background: one is waited for, many report to a callback, and one that
 * takes too long is cancelled. */
#include <mp/mp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

MP_TASK(twice, int, int)
{
    if (*in < 0)
        return mp_call_fail(call, 1, "%d is negative", *in);
    *out = 2 * *in;
    return MP_OK;
}

MP_TASK(sleep_s, int, int)
{
    *out = (int)sleep((unsigned)*in);
    return MP_OK;
}

static void add(void *arg, mp_result_t *result)
{
    int value = 0;
    if (mp_result_get(result, &value, 0) == MP_OK)
        atomic_fetch_add((atomic_int *)arg, value);
}

static char problem[100]; /* read when the pool is joined, with its callbacks */

static void complain(void *arg, mp_result_t *result)
{
    (void)arg;
    (void)mp_result_get(result, NULL, 0);
    snprintf(problem, sizeof problem, "%s", mp_errmsg());
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_pool) pool = NULL;
    MP_SCOPED(mp_result) one = NULL;
    MP_SCOPED(mp_result) slow = NULL;
    atomic_int sum = 0;
    mp_async_options_t options = {.callback = add, .error_callback = complain, .arg = &sum};
    int ten = 10, hour = 3600, value = 0;
    if (mp_pool_new(&(mp_pool_options_t){.processes = 2}, &pool) ||
        mp_pool_apply_async(pool, &twice, &ten, NULL, &one) || mp_result_get(one, &value, 1000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%d\n", value);
    for (int i = -1; i < 100; i++) /* nobody keeps these results but the callbacks */
        if (mp_pool_apply_async(pool, &twice, &i, &options, NULL))
            return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    if (mp_pool_apply_async(pool, &sleep_s, &hour, NULL, &slow))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s\n", mp_errname(mp_result_get(slow, &value, 50)));
    mp_result_cancel(slow);
    mp_pool_close(pool);
    if (mp_pool_join(pool, 10000))
        return fprintf(stderr, "%s\n", mp_errmsg()), 1;
    printf("%s\n%s\n%d\n", mp_errname(mp_result_get(slow, &value, 0)), problem, sum);
    return 0;
}
/* prints:
20
MP_ETIMEDOUT
MP_ECANCELLED
-1 is negative
9900
*/
