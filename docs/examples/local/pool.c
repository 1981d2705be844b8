/* What a pool does: maps in several ways, a call in the background, and an input that never ends.
 */
#include <mp/mp.h>
#include <stdio.h>

typedef struct pair {
    int a, b;
} pair_t;

MP_TASK(square, int, int)
{
    *out = *in * *in;
    return MP_OK;
}

/* Several arguments are a struct: Python's starmap. */
MP_TASK(multiply, pair_t, int)
{
    *out = in->a * in->b;
    return MP_OK;
}

static mp_rc_t count(void *arg, mp_bytes_t *input)
{
    static int number;
    int *next = arg;
    number = (*next)++;
    *input = (mp_bytes_t){&number, sizeof number};
    return MP_OK;
}

static int fail(void)
{
    return fprintf(stderr, "%s\n", mp_errmsg()), 1;
}

int main(int argc, char **argv)
{
    MP_MAIN(argc, argv);
    MP_SCOPED(mp_pool) pool = NULL;
    MP_SCOPED(mp_result) result = NULL;
    MP_SCOPED(mp_imap) imap = NULL;
    mp_outcome_t outcome;
    int xs[100], ys[100], next = 0, ten = 10, y = 0;
    pair_t pairs[3] = {{1, 2}, {3, 4}, {5, 6}};
    for (int i = 0; i < 100; i++)
        xs[i] = i;
    if (mp_pool_new(&(mp_pool_options_t){.processes = 4}, &pool))
        return fail();

    if (mp_pool_map(pool, &square, xs, 100, ys, -1))
        return fail();
    printf("map: %d %d %d … %d\n", ys[0], ys[1], ys[2], ys[99]);

    if (mp_pool_map(pool, &multiply, pairs, 3, ys, -1))
        return fail();
    printf("starmap: %d %d %d\n", ys[0], ys[1], ys[2]);

    if (mp_pool_apply_async(pool, &square, &ten, NULL, &result) || mp_result_get(result, &y, 10000))
        return fail();
    printf("apply_async: %d\n", y);

    if (mp_pool_imap(pool, &square, count, &next, &(mp_call_options_t){.window = 8}, &imap))
        return fail();
    do
        if (mp_imap_next(imap, &outcome, -1) || outcome.rc)
            return fail();
    while (*(const int *)outcome.value.data < 1000);
    printf("imap: the first square over 1000 is %d\n", *(const int *)outcome.value.data);
    return 0;
}
/* prints:
map: 0 1 4 … 9801
starmap: 2 12 30
apply_async: 100
imap: the first square over 1000 is 1024
*/
